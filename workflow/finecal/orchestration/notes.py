"""Snakemake's notes of what each output was made with, where they are missing: written anew from the outputs.

Snakemake keeps them in `.snakemake`, and compares them with the present options and code at every start. A job that
ends after its Snakemake was killed leaves outputs without a note, and so do results that were copied or moved without
that folder: Snakemake would then keep them whatever their options were. What a result was made with also stands in the
result, so the note can be written from it.

A note belongs to an output if it names the very time at which the output was written: of one written since then, it
says nothing.

This module alone uses names of Snakemake's persistence that are not public; `tests/unit/test_notes.py` says so when an
update changes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord, PersistenceBase
from snakemake.persistence.db import DbPersistence
from snakemake.persistence.file import FilePersistence
from snakemake.settings.enums import PersistenceBackend

from finecal.errors import UserError
from finecal.plan.code_digests import Identity
from finecal.plan.earlier_notes import is_earlier, translate
from finecal.plan.identities import Identities
from finecal.plan.jobs import Job
from finecal.plan.records import read_record

# What jobs read beside their rule's inputs: where it is missing, nothing is to be computed again.
NOT_INPUTS = "benchmarks/"
# Where the inputs of rules lie.
INPUTS = ("results/", "resources/")


def notes_of(workflow: Any) -> PersistenceBase:
    """Where the present Snakemake keeps its notes; it opens them itself only after the Snakefile is read."""
    settings = workflow.workflow_settings
    if settings.persistence_backend == PersistenceBackend.DB:
        url = settings.persistence_backend_db_url
        return DbPersistence(**({"db_url": url} if url else {}))
    return FilePersistence()


def restore_notes(jobs: Iterable[Job], notes: PersistenceBase, identities: Identities) -> list[Path]:
    """Write the notes of finished jobs that have none, or none of their present outputs, as far as outputs say.

    Those of finecal 0.1.0 are translated.

    Returns
    -------
    The first output of each job whose notes were written.
    """
    return [job.result for job in jobs if _restored(job, notes, identities)]


def _restored(job: Job, notes: PersistenceBase, identities: Identities) -> bool:
    try:
        written = job.result.stat().st_mtime
    except OSError:
        return False
    note = notes._read_record(str(job.result))
    if note is not None and note.endtime == written:
        return is_earlier(note.params) and _translated(job, notes, identities)
    outputs = job.outputs
    if not all(output.exists() for output in outputs) or notes._filter_incomplete_keys(map(str, outputs)):
        return False
    try:
        made = read_record(job.result)
    except UserError:  # no table, or a damaged one, which the job that reads it will name
        return False
    identity = Identity.recorded(made)
    if identity is None:
        return False
    for output in outputs:
        notes._write_record(str(output), _note(job, identity, made["inputs"], output))
    return True


def _translated(job: Job, notes: PersistenceBase, identities: Identities) -> bool:
    translated = False
    for output in job.outputs:
        note = notes._read_record(str(output))
        if note is None or not is_earlier(note.params):
            continue
        identity = translate(note.params, job.stage, job.wildcards, identities)
        if identity is not None:
            note.params = [repr(str(identity))]
            # The user's own files are no inputs any more: their contents are a part of the options.
            note.input = [name for name in note.input or [] if name.startswith(INPUTS)]
            note.rule = job.stage
            # The text of the command has changed with the names of the verbs; what it does is in the parameters.
            note.code = None
            notes._write_record(str(output), note)
            translated = True
    return translated


def _note(job: Job, identity: Identity, inputs: dict[str, str], output: Path) -> MetadataRecord:
    """The note that Snakemake would have written, as far as it compares it."""
    written = output.stat().st_mtime
    # The report does not list the samples of each run, the table of costs reads measurements, which are no inputs.
    complete = job.stage != "report" and not any(name.startswith(NOT_INPUTS) for name in inputs)
    checksums = {name: f"sha256:{digest}" for name, digest in inputs.items()}
    return MetadataRecord(
        record_format_version=RECORD_FORMAT_VERSION,
        rule=job.stage,
        incomplete=False,
        starttime=written,
        endtime=written,
        params=[repr(str(identity))],
        input=sorted(inputs) if complete else None,
        input_checksums=checksums,
    )
