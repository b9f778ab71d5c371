"""Write Snakemake's notes of what each output was made with where they are missing, from the outputs themselves.

Snakemake keeps its notes in `.snakemake` and compares them with the present options and code at every start. A job that
ends after its Snakemake was killed leaves outputs without a note, and so do results that were copied or moved without
that folder: Snakemake would then keep them whatever their options were. What a result was made with also stands in the
result, so the note can be written from it. Snakemake has marked the outputs of a job that outlived it as incomplete:
they are complete if all of them are there.

A note belongs to an output if it names the very time at which the output was written; it says nothing about an output
written since then.

This module alone uses names of Snakemake's persistence that are not public; `tests/unit/orchestration/test_notes.py`
fails when an update changes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord, PersistenceBase
from snakemake.persistence.db import DbPersistence
from snakemake.persistence.file import FilePersistence
from snakemake.settings.enums import PersistenceBackend

from finecal.errors import UserError
from finecal.io.provenance import sha256
from finecal.orchestration.workers import STATE
from finecal.plan.code_digests import Identity
from finecal.plan.earlier_notes import is_earlier, translate
from finecal.plan.identities import Identities
from finecal.plan.jobs import Job, measured_jobs
from finecal.plan.records import read_record

# Files that jobs read beside their rule's inputs: where they are missing, nothing is to be computed again.
NOT_INPUTS = "benchmarks/"
SMALL = 1_000_000  # bytes: of larger files Snakemake compares no checksum (its --max-checksum-file-size)
# Where the inputs of rules lie.
INPUTS = ("results/", "resources/")


def notes_of(workflow: Any) -> PersistenceBase:
    """Open the notes of the present Snakemake, which opens them itself only after the Snakefile is read.

    Raises
    ------
    UserError
        If its folder cannot be written.
    """
    settings = workflow.workflow_settings
    try:
        if settings.persistence_backend == PersistenceBackend.DB:
            url = settings.persistence_backend_db_url
            return DbPersistence(**({"db_url": url} if url else {}))
        return FilePersistence()
    except OSError as error:
        raise UserError(
            f"Snakemake's folder cannot be written: {error}", where=str(STATE.resolve()),
            hint="Work in a folder of your own: `--directory DIR`",
        ) from error  # fmt: skip


def restore_notes(jobs: Iterable[Job], notes: PersistenceBase, identities: Identities, below: str = "") -> list[Path]:
    """Write the notes of finished jobs that have none, or none of their present outputs, as far as outputs say.

    Notes of finecal 0.1.0 are translated. If notes cannot be written or read, a message is printed and the rest is left
    as it is.

    Parameters
    ----------
    below
        What a `module` statement puts before all paths.

    Returns
    -------
    The first output of each job whose notes were written.
    """
    restored = []
    for job in jobs:
        try:
            if _restore_job(job, notes, identities, below):
                restored.append(job.result)
        except (FileNotFoundError, UserError):  # another Snakemake makes it anew, and then writes the note, too
            continue
        except OSError as error:
            print(
                f"finecal: Snakemake's notes of what results were made with cannot be updated ({error}): where a note "
                "is missing, Snakemake keeps a result that was made with other options",
                file=sys.stderr,
            )
            break
    return restored


def _restore_job(job: Job, notes: PersistenceBase, identities: Identities, below: str) -> bool:
    """Write the notes of one job if needed and possible; return whether they were written."""
    result = Path(below, job.result)
    try:
        written = result.stat().st_mtime
    except OSError:
        return False
    note = notes._read_record(str(result))
    if note is not None and note.endtime == written:
        return is_earlier(note.params) and _translate_notes(job, notes, identities)
    outputs = [Path(below, output) for output in job.outputs]
    if not all(output.exists() for output in outputs):
        return False
    try:
        made = read_record(result)
    except UserError:  # no table, or a damaged one: the job that reads it says so
        return False
    identity = Identity.recorded(made)
    if identity is None or "inputs" not in made:
        return False
    checksums = {name: f"sha256:{digest}" for name, digest in made["inputs"].items()}
    # The table of costs reads measurements, which are no inputs.
    measured = any(name.removeprefix(below).startswith(NOT_INPUTS) for name in checksums)
    if measured:
        checksums |= _of_measured(identities, made["inputs"], below)
    for output in outputs:
        notes._write_record(str(output), _make_note(job, identity, checksums, output, complete=not measured))
        # Snakemake marks the outputs of a job that it starts, and removes those of before. Each is written whole or
        # not at all: where all are there, the job has done its work, whatever has become of its Snakemake.
        notes._unmark_incomplete(str(output))
    return True


def _translate_notes(job: Job, notes: PersistenceBase, identities: Identities) -> bool:
    """Write a job's notes of finecal 0.1.0 as this version would; return whether there were any."""
    translated = False
    for output in job.outputs:
        note = notes._read_record(str(output))
        if note is None or not is_earlier(note.params):
            continue
        identity = translate(note.params, job.stage, job.wildcards, identities)
        if identity is not None:
            note.params = [repr(str(identity))]
            # The user's own files are no inputs any more: their contents are part of the options.
            note.input = [name for name in note.input or [] if name.startswith(INPUTS)]
            note.rule = job.stage
            # The text of the command has changed with the names of the verbs; what it does is in the parameters.
            note.code = None
            notes._write_record(str(output), note)
            translated = True
    return translated


def _of_measured(identities: Identities, measurements: dict[str, str], below: str) -> dict[str, str]:
    """Return checksums of the inputs of the table of costs, which it does not record: they may be large.

    It is made from the measurements of the jobs that wrote them. While these are as recorded, the inputs are those of
    then, whatever their times are. Snakemake compares checksums of small files only.
    """
    if any(not Path(name).is_file() or sha256(name) != digest for name, digest in measurements.items()):
        return {}
    results = [Path(below, job.result) for job in measured_jobs(identities.plan)]
    return {str(path): f"sha256:{sha256(path)}" for path in results if path.is_file() and path.stat().st_size <= SMALL}


def _make_note(
    job: Job, identity: Identity, checksums: dict[str, str], output: Path, *, complete: bool
) -> MetadataRecord:
    """Return the note that Snakemake would have written, as far as it compares it."""
    written = output.stat().st_mtime
    return MetadataRecord(
        record_format_version=RECORD_FORMAT_VERSION,
        rule=job.stage,
        incomplete=False,
        starttime=written,
        endtime=written,
        params=[repr(str(identity))],
        input=sorted(checksums) if complete else None,
        input_checksums=checksums,
    )
