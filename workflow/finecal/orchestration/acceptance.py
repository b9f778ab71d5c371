"""What follows when Snakemake has accepted a job's outputs: its state is removed, and its note tells the truth.

Snakemake looks at outputs after the job has ended: whether they are there, and not older than the inputs. What it
refuses it deletes. The state of a training therefore outlives its job, and is removed here.

A job reads the study and its own code when it starts, maybe days after Snakemake has planned it. Where they were edited
in between, the result is that of the edited study, while Snakemake notes what it had planned. The note is then
corrected by what the result itself says, so that the next call makes again what no longer fits, and nothing else. The
same holds for inputs that were replaced while the job ran: it has noted the bytes that it has read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.persistence import PersistenceBase

from finecal import paths
from finecal.errors import UserError
from finecal.orchestration.modules import stage_of
from finecal.orchestration.workers import STATE
from finecal.plan.code_digests import Identity
from finecal.plan.jobs import Job
from finecal.plan.records import read_record
from finecal.plan.stages import STAGES
from finecal.runtime.readiness import check_inputs, clock_of
from finecal.training.model_hash import accept_model, left_hash
from finecal.training.state_folder import KEPT, discard_state, newest_state


def keep_states() -> None:
    """Let the jobs that this process starts leave the states of their trainings."""
    os.environ[KEPT] = "1"


def follow_results(workflow: Any) -> None:
    """Do what follows each job that Snakemake accepts from now on.

    Parameters
    ----------
    workflow
        Snakemake's, when it is about to run jobs.
    """
    finish = workflow.dag.finish

    async def finished(job: Any, *given: Any, **named: Any) -> None:
        await finish(job, *given, **named)
        for one in job if job.is_group() else [job]:
            _accept(one, workflow.persistence)

    workflow.dag.finish = finished


def discard_accepted_states(jobs: Iterable[Job], notes: PersistenceBase, below: str = "") -> None:
    """Remove the states that a Snakemake has left which was killed after it had accepted the results.

    A state that is newer than the result is of a training that has begun since then. `below` is what a `module`
    statement puts before all paths.
    """
    if not Path(below, "state").is_dir():
        return
    notes._clear_cache()  # some have just been written
    for job in jobs:
        if not job.record.resumable:
            continue
        _take_hashes(map(str, job.outputs), below)
        folder, result = Path(below, paths.state_folder(job.result.parent)), Path(below, job.result)
        saved = newest_state(folder)
        if saved is None:
            continue
        try:
            written = result.stat().st_mtime
        except OSError:  # never there, or another Snakemake makes it anew
            continue
        note = notes._read_record(str(result))
        if note is not None and not note.incomplete and note.endtime == written and saved <= written:
            discard_state(folder)


def check_dates(jobs: Iterable[Any]) -> None:
    """Look, before the first job, at the files that jobs read and none of them makes.

    Parameters
    ----------
    jobs
        Snakemake's that are about to run.

    Raises
    ------
    UserError
        If one is dated in the future, so that Snakemake would refuse what is made from it; or cannot be read.
    """
    ours = [job for job in jobs if stage_of(job.rule) is not None]
    made = {str(file) for job in ours for file in job.output}
    read = {str(file): None for job in ours for file in job.input if str(file) not in made}
    check_inputs(map(Path, read), clock_of(STATE))


def _accept(job: Any, notes: PersistenceBase) -> None:
    name = stage_of(job.rule)
    if name is None:
        return
    plain = STAGES[name].result.format(**job.wildcards)
    # Below a prefix, if there is one; elsewhere if the user's own workflow has said so.
    result = next((Path(str(file)) for file in job.output if str(file).endswith(plain)), None)
    if result is None:
        return
    if STAGES[name].resumable:
        before = str(result).removesuffix(plain)
        _take_hashes((str(file).removeprefix(before) for file in job.output), before)
        discard_state(Path(before, paths.state_folder(Path(plain).parent)))
    if not STAGES[name].code:
        return
    try:
        made = read_record(result)
        identity = Identity.recorded(made)
        if identity is not None:
            _correct_notes([str(file) for file in job.output], notes, identity, made["inputs"])
    except (UserError, OSError) as error:  # the result was removed or replaced at once
        print(f"finecal: what {result} was made with cannot be noted: {error}", file=sys.stderr)


def _take_hashes(outputs: Iterable[str], before: str) -> None:
    """Put beside each model the hash that its job has left; `before` is what stands before all paths."""
    for output in outputs:
        if Path(output).name == paths.MODEL:
            accept_model(Path(before, output), Path(before, left_hash(Path(output))))


def _correct_notes(outputs: list[str], notes: PersistenceBase, made: Identity, inputs: dict[str, str]) -> None:
    """Correct the notes of a job's outputs where they differ from what the outputs say of themselves."""
    said = set()
    for output in outputs:
        note = notes._read_record(output)
        if note is None:
            continue
        params, checksums = [repr(str(made))], dict(note.input_checksums or {})
        replaced = {
            name: f"sha256:{inputs[name]}"
            for name, checksum in checksums.items()
            if name in inputs and checksum != f"sha256:{inputs[name]}"
        }
        if note.params == params and not replaced:
            continue
        if note.params != params:
            said.add("with other options or code than planned: the study or finecal was edited meanwhile")
        if replaced:
            said.add(f"from {' and '.join(sorted(replaced))} as it was before it was replaced")
            # As old as what it was made from: the next call then compares the bytes of its inputs.
            os.utime(output, (note.starttime, note.starttime))
            note.endtime = Path(output).stat().st_mtime
        note.params, note.input_checksums = params, {**checksums, **replaced}
        notes._write_record(output, note)
    for what in sorted(said):
        print(f"finecal: {outputs[0]} was made {what}. The next `snakemake` makes again what differs.", file=sys.stderr)
