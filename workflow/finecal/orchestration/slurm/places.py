"""Where jobs are in SLURM, for `finecal status`: from the files beside their scripts, and one question to squeue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from finecal.errors import UserError, counted
from finecal.orchestration.slurm.commands import print_message
from finecal.orchestration.slurm.markers import NOTE, SCRIPT, WHY, read_needs, read_status, taken_by
from finecal.orchestration.slurm.reasons import advice, is_usual
from finecal.orchestration.slurm.recovery import LOGS, QueuedJob, find_queued
from finecal.orchestration.workers import STATE

HOLDS = STATE / "finecal_holds"  # why Snakemake submits nothing for now, while that is so


@dataclass(frozen=True)
class Place:
    """A job in a SLURM job.

    Attributes
    ----------
    queued
        What squeue says of the SLURM job.
    has_turn
        Whether it may run now: it is not after others.
    submitted
        When it was written, in seconds since 1970: a log that is older is of an earlier try.
    """

    queued: QueuedJob
    has_turn: bool
    submitted: float

    @property
    def is_running(self) -> bool:
        """Whether the SLURM job runs."""
        return self.queued.state in ("RUNNING", "COMPLETING", "STOPPED", "SUSPENDED")

    def describe(self, rule: str) -> str:
        """Say where it is, why it waits and until when it may run."""
        job = self.queued
        text = f"SLURM job {job.number}"
        if self.is_running:
            text += f" on {job.node}" + (f", {job.left} left" if job.left[:1].isdigit() else "")
            text += "" if self.has_turn else ", after others"
            text += "" if job.state == "RUNNING" else f" ({job.state.lower()})"
        else:
            text += f" waits ({job.reason})"
            if not is_usual(job.reason) and (meaning := advice(job.reason, job.number, rule)):
                text += f": {meaning}"
            if job.start[:1].isdigit():
                text += f"; expected to start at {job.start}"
        if job.restarts not in ("", "0"):
            text += f"; SLURM has started it again {counted(int(job.restarts), 'time')}"
        return text


def find_places() -> dict[str, Place]:
    """Return, by each output of the jobs that wait or run in SLURM, where they are; without an answer say so."""
    notes = list(LOGS.glob(f"*/*/*{NOTE}"))
    if not notes:
        return {}
    try:
        by_folder = {job.log.parent: job for job in find_queued(Path.cwd() / LOGS)}
    except UserError as error:  # no SLURM here, or it does not answer
        print_message(f"{error.what}. So it is not known where jobs wait and run")
        return {}
    found: dict[str, Place] = {}
    for note in notes:
        queued, script = by_folder.get(note.parent.resolve()), note.with_suffix(SCRIPT)
        if queued is not None and read_status(script) is None:
            has_turn = read_needs(script) is None or taken_by(script) is not None
            place = Place(queued, has_turn, _written(note))
            found |= dict.fromkeys(_read(note)[0], place)
    return found


def find_reasons() -> dict[str, str]:
    """Return, by each output of the jobs that have failed in SLURM, what was said of the last time."""
    found: dict[str, str] = {}
    for note in sorted(LOGS.glob(f"*/*/*{WHY}"), key=_written):
        outputs, why = _read(note)
        found |= dict.fromkeys(outputs, why)
    return found


def read_hold() -> str:
    """Return why Snakemake submits nothing for now; empty if it does."""
    try:
        return HOLDS.read_text("utf-8").strip()
    except OSError:
        return ""


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _read(note: Path) -> tuple[list[str], str]:
    """Return what a job makes and why it has failed; nothing of a note that is half written or just gone."""
    try:
        known = json.loads(note.read_text("utf-8"))
        return list(known["outputs"]), str(known.get("why", ""))
    except (OSError, ValueError, LookupError, TypeError):
        return [], ""
