"""The SLURM jobs of a main process that was killed are taken over: a place in a queue may be worth hours.

What each script in the folder of a SLURM job makes stands beside it (`NAME.job`, markers.py), as long as no main
process has learnt of its end. The next main process compares it with its own jobs. One that makes the same files with
the same options and code from the same inputs is the same job: it is watched where it waits or runs, and has ended
where it has left its exit status. A SLURM job in which anything else runs is not taken over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finecal.orchestration.slurm.markers import NOTE, SCRIPT, WHY, claim, closed_file, read_needs, read_status, taken_by
from finecal.orchestration.slurm.shared_jobs import MAIN, Follower

COMPARED = (str, int, float, bool, list, tuple, dict)  # types of params that Snakemake compares, too


@dataclass
class LeftJob:
    """A SLURM job that was left, or one that has ended since, and Snakemake's jobs in it.

    Attributes
    ----------
    number
        That of the SLURM job; empty if it has ended.
    name
        Its name in SLURM, by which it is asked for; empty if it has ended.
    members
        Snakemake's job → its script, of those that run, wait for their turn or have ended with 0.
    followers
        Those that its launcher begins by itself, later.
    """

    number: str
    name: str
    members: dict[Any, Path] = field(default_factory=dict)
    followers: dict[Any, Follower] = field(default_factory=dict)


@dataclass
class _Entry:
    """A script that was left, and Snakemake's job that is the same; None if there is none."""

    script: Path
    job: Any
    needs: list[Path] | None
    status: int | None

    @property
    def is_open(self) -> bool:
        """Whether it runs or will run, as far as its SLURM job lives."""
        return self.status is None and taken_by(self.script) != MAIN

    @property
    def waits(self) -> bool:
        """Whether it is a follower that nobody has begun."""
        return self.is_open and self.needs is not None and taken_by(self.script) is None


def note(job: Any, script: Path) -> None:
    """Write what a script makes, before it is submitted."""
    script.with_suffix(NOTE).write_text(json.dumps(_identity(job)))


def note_failure(job: Any, script: Path, why: str) -> None:
    """Write why a script has failed, for `finecal status`."""
    outputs = [str(file) for file in getattr(job, "output", ())]
    with suppress(OSError):  # the disk may be full
        script.with_suffix(WHY).write_text(json.dumps({"outputs": outputs, "why": why}))


def find_left(jobs: Iterable[Any], logs: Path, living: Mapping[Path, tuple[str, str]]) -> list[LeftJob]:
    """Return the SLURM jobs that can be taken over, and those that have ended with results nobody has seen.

    Followers in them that are not wanted any more are shut out.

    Parameters
    ----------
    jobs
        Snakemake's that are about to run.
    logs
        The folder in which the folders of SLURM jobs are.
    living
        By the folder of each SLURM job that waits or runs its number and its name.
    """
    by_outputs = {tuple(map(str, job.output)): job for job in jobs if not job.is_group()}
    folders = sorted({file.parent for file in logs.glob(f"*/*/*{NOTE}")})
    entries = {folder.resolve(): _entries(folder.resolve(), by_outputs) for folder in folders}
    given_up: set[Path] = set()
    while True:  # what waits for a script that is not taken over is not, either
        kept = _kept(entries, living, given_up)
        worse = {folder for folder in living if folder not in given_up and not _is_whole(folder, entries, kept)}
        if not worse:
            break
        given_up |= worse
    found = []
    for folder, own in entries.items():
        number, name = living.get(folder, ("", "")) if folder not in given_up else ("", "")
        left = LeftJob(number, name)
        for entry in own:
            if entry.script in kept and entry.waits:
                needs = [need for need in entry.needs or () if read_status(need) != 0]
                left.followers[entry.job] = Follower(entry.script, needs, {folder, *(need.parent for need in needs)})
            elif entry.script in kept:
                left.members[entry.job] = entry.script
        if left.members or left.followers:
            found.append(left)
        for entry in own:
            if entry.script not in kept:  # it would be taken for a result of now at a later start
                entry.script.with_suffix(NOTE).unlink(missing_ok=True)
    return found


def _kept(
    entries: Mapping[Path, list[_Entry]], living: Mapping[Path, tuple[str, str]], given_up: set[Path]
) -> set[Path]:
    """Return the scripts that can be taken over where these folders are given up."""
    kept: dict[Path, _Entry] = {}
    for folder, own in entries.items():
        lives = folder in living and folder not in given_up
        for entry in own:
            goes_on = lives and not (entry.waits and closed_file(folder).exists())
            if entry.job is not None and (entry.status == 0 or (entry.is_open and goes_on)):
                kept[entry.script] = entry
    while True:
        jobs = {id(entry.job) for entry in kept.values()}
        lost = [script for script, entry in kept.items() if not _has_its_needs(entry, set(kept), jobs)]
        if not lost:
            return set(kept)
        for script in lost:
            del kept[script]


def _has_its_needs(entry: _Entry, kept: set[Path], jobs: set[int]) -> bool:
    """Return whether all that a script needs was made before, or is made by what is taken over, too."""
    needs = [need for need in entry.needs or () if read_status(need) != 0]
    if entry.waits and not all(need in kept for need in needs):
        return False
    dag = entry.job.dag
    return all(id(need) in jobs for need in dag.dependencies[entry.job] if dag.needrun(need))


def _is_whole(folder: Path, entries: Mapping[Path, list[_Entry]], kept: set[Path]) -> bool:
    """Return whether all that runs in a living SLURM job is taken over; shut out what has not begun and is not."""
    own = [entry for entry in entries.get(folder, []) if entry.is_open]
    if not any(entry.script in kept for entry in own):
        return False
    for entry in own:
        if entry.script in kept:
            continue
        if not entry.waits:
            return False
        with suppress(OSError):
            if claim(entry.script, MAIN):
                continue
        return False
    return True


def _entries(folder: Path, by_outputs: Mapping[tuple[str, ...], Any]) -> list[_Entry]:
    found = []
    for file in sorted(folder.glob(f"*{NOTE}")):
        script = file.with_suffix(SCRIPT)
        try:
            noted = json.loads(file.read_text())
            job = by_outputs.get(tuple(noted["outputs"]))
        except (OSError, ValueError, KeyError, TypeError):  # half written: it was never submitted
            noted, job = {}, None
        needs = read_needs(script)
        if job is not None and (_identity(job) != noted or not _is_of_these_inputs(job, script, needs)):
            job = None
        found.append(_Entry(script, job, needs, read_status(script)))
    return found


def _identity(job: Any) -> dict[str, Any]:
    """Return what makes two jobs the same: files and params, as Snakemake compares them."""
    return {
        "outputs": [str(file) for file in job.output],
        "inputs": [str(file) for file in job.input],
        "params": [repr(value) for value in job.params if isinstance(value, COMPARED)],
    }


def _is_of_these_inputs(job: Any, script: Path, needs: list[Path] | None) -> bool:
    """Return whether no input was made anew since a script was submitted, or begun where it follows others."""
    begun = script.with_suffix(NOTE) if needs is None else script.with_suffix(".started")
    try:
        start = begun.lstat().st_mtime
    except OSError:  # it has not begun
        return True
    for file in map(Path, job.input):
        with suppress(OSError):
            if file.stat().st_mtime > start:
                return False
    return read_status(script) != 0 or all(Path(file).exists() for file in job.output)
