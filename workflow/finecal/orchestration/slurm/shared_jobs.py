"""What Snakemake's main process knows of the SLURM jobs that run several of its jobs, and of the followers in them.

A follower is a job whose script was written before Snakemake could start the job (following.py). When Snakemake starts
it, it may have ended, be running, or still wait in its SLURM job; it may also be that nobody will ever run it. Then it
is taken back, which shuts out every launcher, and submitted like any other job.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any

from finecal.orchestration.slurm.markers import NOTE, claim, closed_file, read_status, taken_by

MAIN = "snakemake"  # who has taken a follower that is submitted by itself


@dataclass
class SharedJob:
    """One SLURM job and the scripts in its folder.

    Attributes
    ----------
    number
        That of the SLURM job; empty before it is submitted.
    unsettled
        The scripts of which neither success is known nor that they are not to run here.
    guests
        How many followers elsewhere wait for scripts in this folder.
    has_ended
        Whether SLURM says so.
    """

    number: str
    unsettled: set[Path]
    guests: int = 0
    has_ended: bool = False


@dataclass
class Follower:
    """A job that waits in a SLURM job for what it needs.

    Attributes
    ----------
    script
        Its script, in the folder of the SLURM job with which it was submitted.
    needs
        The scripts of what it waits for.
    folders
        Those of the SLURM jobs of which the launcher may run it.
    is_stale
        Whether one that it needs has run again since, so that its result is not to be used.
    """

    script: Path
    needs: Sequence[Path]
    folders: set[Path] = field(default_factory=set)
    is_stale: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether a launcher has taken it."""
        return taken_by(self.script) is not None


class SharedJobs:
    """The SLURM jobs of one main process; to be asked from any of its threads."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep  # the folders of those that succeeded
        self.lock = RLock()  # to be held from a look at the scripts to `add` of what follows them
        self._by_folder: dict[Path, SharedJob] = {}
        self._scripts: dict[Any, Path] = {}  # Snakemake's job → the script that runs it or will run it
        self._followers: dict[Any, Follower] = {}  # those that Snakemake has not started yet

    def add(
        self, number: str, scripts: dict[Any, Path], followers: dict[Any, Follower], *, has_ended: bool = False
    ) -> None:
        """Note a SLURM job that was submitted, or without a number one that will be."""
        with self.lock:
            own = {*scripts.values(), *(follower.script for follower in followers.values())}
            folder = next(iter(own)).parent
            # None of a new SLURM job; those of an earlier main process come in any order.
            guests = sum(folder in one.folders and one.script not in own for one in self._followers.values())
            self._by_folder[folder] = SharedJob(number, own, guests, has_ended)
            self._scripts |= scripts | {job: follower.script for job, follower in followers.items()}
            self._followers |= followers
            for follower in followers.values():
                for other in follower.folders - {folder}:
                    if other in self._by_folder:
                        self._by_folder[other].guests += 1

    def set_number(self, folder: Path, number: str) -> None:
        """Note that a SLURM job was submitted."""
        with self.lock:
            self._by_folder[folder].number = number

    def drop(self, folder: Path, scripts: dict[Any, Path], followers: dict[Any, Follower]) -> None:
        """Note that a SLURM job was not submitted: what was to follow it waits in vain."""
        with self.lock:
            for job, script in scripts.items():
                self.forget(job, script)
            for job, follower in followers.items():
                if self._followers.get(job) is follower and self.take_back(job, follower):
                    del self._followers[job]
            self._by_folder.pop(folder, None)

    @property
    def unnumbered(self) -> int:
        """How many SLURM jobs are about to be submitted."""
        with self.lock:
            return sum(not (shared.number or shared.has_ended) for shared in self._by_folder.values())

    def script_of(self, job: Any) -> Path | None:
        """Return the script of a job that is a member of a SLURM job, and has not failed."""
        return self._scripts.get(job)

    def is_follower(self, job: Any) -> bool:
        """Return whether a job is to run in a SLURM job after others."""
        return job in self._followers

    def start(self, job: Any) -> Follower | None:
        """Return what is planned for a job that Snakemake starts, if that is of use; then it is known no more.

        Not if it is no follower, was tried before, or needs what has ended in another way since.
        """
        with self.lock:
            follower = self._followers.pop(job, None)
            if follower is None:
                return None
            if job.attempt == 1 and all(read_status(need) == 0 for need in follower.needs):
                return follower
            if self.take_back(job, follower):
                return None
            follower.is_stale = True
            return follower

    def take_back(self, job: Any, follower: Follower) -> bool:
        """Take a follower from all launchers; return whether none had begun it."""
        with self.lock:
            if not claim(follower.script, MAIN):
                return False
            self._scripts.pop(job, None)
            _remove_note(follower.script)
            self._settle(follower)
            return True

    def forget(self, job: Any, script: Path) -> None:
        """Note that a member has failed: what was to follow it waits in vain, and it has a new script next time."""
        _remove_note(script)
        with self.lock:
            if self._scripts.get(job) == script:
                del self._scripts[job]
            waiting = [(one, follower) for one, follower in self._followers.items() if script in follower.needs]
            for one, follower in waiting:
                if one not in self._followers:  # it follows another of them, too
                    continue
                if self.take_back(one, follower):
                    del self._followers[one]
                else:
                    follower.is_stale = True
                self.forget(one, follower.script)

    def settle(self, script: Path, follower: Follower | None = None) -> None:
        """Note that a member has succeeded; the folder goes when it was the last."""
        with self.lock:
            if follower is not None:
                self._settle(follower)
            else:
                self._settle_script(script)

    def _settle(self, follower: Follower) -> None:
        for folder in follower.folders - {follower.script.parent}:
            if (shared := self._by_folder.get(folder)) is not None:
                shared.guests -= 1
                self._remove_if_done(folder)
        self._settle_script(follower.script)

    def _settle_script(self, script: Path) -> None:
        _remove_note(script)
        if (shared := self._by_folder.get(script.parent)) is not None:
            shared.unsettled.discard(script)
            self._remove_if_done(script.parent)

    def _remove_if_done(self, folder: Path) -> None:
        shared = self._by_folder[folder]
        if not shared.unsettled and not shared.guests:
            del self._by_folder[folder]
            if not self._keep:
                shutil.rmtree(folder, ignore_errors=True)

    def disown(self) -> None:
        """Note that all that lives is cancelled: no later main process is to take it over."""
        with self.lock:
            for folder in self._by_folder:
                for file in folder.glob(f"*{NOTE}"):
                    file.unlink(missing_ok=True)

    def note_end(self, number: str) -> None:
        """Note that a SLURM job has ended, as SLURM says."""
        with self.lock:
            for shared in self._by_folder.values():
                shared.has_ended = shared.has_ended or shared.number == number

    def is_over(self, folder: Path) -> bool:
        """Return whether the launcher of a folder starts nothing more."""
        shared = self._by_folder.get(folder)
        return shared is None or shared.has_ended or closed_file(folder).exists()

    def numbers(self, follower: Follower) -> list[str]:
        """Return the SLURM jobs that may run a follower; the one that runs it if it has begun."""
        name = taken_by(follower.script)
        if name is not None and name != MAIN:
            return [name]
        with self.lock:
            known = [self._by_folder[folder] for folder in sorted(follower.folders) if folder in self._by_folder]
            return [shared.number for shared in known if shared.number]

    def living(self) -> Iterator[str]:
        """Yield the numbers of SLURM jobs with members or followers that may still run."""
        with self.lock:
            folders = list(self._by_folder)
        for folder in folders:
            if not self.is_over(folder) and (number := self._by_folder[folder].number):
                yield number

    def will_never_run(self, follower: Follower) -> bool:
        """Return whether no launcher will begin a follower."""
        return not follower.has_begun and all(self.is_over(folder) for folder in follower.folders)


def _remove_note(script: Path) -> None:
    """Let no later main process take a script for one whose end nobody knows."""
    with suppress(OSError):
        script.with_suffix(NOTE).unlink(missing_ok=True)


def link_to(script: Path, folders: Iterable[Path]) -> None:
    """Let the launchers of other folders find a script."""
    for folder in folders:
        (folder / f"{script.parent.name}.{script.name}").symlink_to(script)
