"""Run the members of a SLURM job: `python -m finecal.orchestration.slurm.launcher FOLDER [--at-a-time N] …`.

The folder holds one shell script per member (markers.py says what else). They run side by side, or so many at a time.
A member's output goes to `NAME.log` beside it, its exit status to `NAME.status` as soon as it ends; one that fails does
not stop the others. Followers run as soon as all that they need has ended with 0, one at a time, where no other member
waits for its turn. What they need may be members of other SLURM jobs: then the folders of these have a link to the
script, and the launcher that finds last that nothing is missing runs it. Nobody waits for another SLURM job.

Members that are jobs of `--stages` are forks of one process, which has imported what they need (finecal.warm).

The launcher passes on no signals, since SLURM's go to all processes of the job. A member that SIGTERM has ended leaves
no status: whether that was a time limit, an scancel or a preemption, SLURM says of the job as a whole.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

from finecal.orchestration.slurm.bad_nodes import node_file
from finecal.orchestration.slurm.markers import (
    SCRIPT,
    claim,
    closed_file,
    left_file,
    look_into,
    read_needs,
    read_status,
    status_file,
    write_status,
)
from finecal.paths import BELOW_VARIABLE
from finecal.runtime.signals import WARNINGS
from finecal.warm.start import environment_of_jobs, started

LISTEN_SECONDS = 2.0
AT_A_TIME, STAGES, THREADS, BELOW = "--at-a-time", "--stages", "--threads", "--below"


class Launcher:
    """Runs the members of a folder.

    Parameters
    ----------
    at_a_time
        How many members may run at the same time; None for all.
    environment
        What they are started with.
    """

    def __init__(self, folder: Path, at_a_time: int | None, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.at_a_time = at_a_time
        self.environment = environment
        self.job = os.environ.get("SLURM_JOB_ID", "here")
        self.incomplete = False  # whether a member of this folder alone will be left without a status
        self._received: set[int] = set()
        self._seen: set[Path] = set()  # those that were started or could not be, here and now
        # With the object, since subprocess itself waits for the processes of objects that are gone.
        self._running: dict[int, tuple[Path, subprocess.Popen[bytes]]] = {}
        self._elsewhere: set[Path] = set()  # folders with what followers need
        self._following: Path | None = None  # the follower that runs

    def run(self) -> bool:
        """Run the members that have no status yet, and wait for them; return whether all have one then.

        They may be left without one by a SIGTERM, or since a full disk or quota takes no file: then the others go on. A
        job that SLURM has started again finds the statuses of its first start, which Snakemake has seen. Followers that
        were not started do not count: Snakemake submits them by themselves.
        """
        for number in WARNINGS:
            signal.signal(number, lambda number, _frame: self._received.add(number))
        members, _ = self._waiting()  # fails where there is no folder
        for marker in (closed_file(self.folder), left_file(self.folder)):  # from a first start
            with suppress(OSError):
                marker.unlink()
        while True:
            self._start_what_can()
            if not self._running:
                break
            self._wait_for_one()
        members, _ = self._waiting()
        ended = signal.SIGTERM in self._received  # then SLURM may start the job again
        if not ended:
            with suppress(OSError):
                closed_file(self.folder).touch()
        complete = not (self.incomplete or (members and ended))
        if not complete:
            with suppress(OSError):
                left_file(self.folder).touch()
        return complete

    def _waiting(self) -> tuple[list[Path], list[Path]]:
        """Return the members that wait for their turn and the followers that wait, also of other SLURM jobs.

        Snakemake may add some of the latter while the job runs.
        """
        members, followers = [], []
        look_into(self._elsewhere)
        for file in sorted(self.folder.iterdir()):
            if file.suffix != SCRIPT:
                continue
            script = file.resolve()
            if script in self._seen or status_file(script).exists() or not script.exists():
                continue
            needs = read_needs(script)
            if needs is None:
                members.append(script)
            else:
                self._elsewhere |= {need.parent for need in needs} - {self.folder}
                if all(read_status(need) == 0 for need in needs):
                    followers.append(script)
        return members, followers

    def _start_what_can(self) -> None:
        while signal.SIGTERM not in self._received and (self.at_a_time is None or len(self._running) < self.at_a_time):
            members, followers = self._waiting()
            if members:
                self._start(members[0])
            elif followers and self._following is None:
                if self._claim(followers[0]):
                    self._start(followers[0])
                    self._following = followers[0] if followers[0] in self._scripts_running() else None
            else:
                return

    def _claim(self, follower: Path) -> bool:
        """Take a follower unless another has; return whether it was taken."""
        try:
            taken = claim(follower, self.job)
        except OSError as error:
            _print(f"{follower.name} was not started: {error}")
            taken = False
        if not taken:
            self._seen.add(follower)
        return taken

    def _start(self, script: Path) -> None:
        self._seen.add(script)
        try:
            with script.with_suffix(".log").open("ab") as log:
                process = subprocess.Popen(
                    ["sh", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
                )
        except OSError as error:
            _print(f"{script.name} was not started: {error}")
            self.incomplete = True
            return
        self._running[process.pid] = script, process

    def _scripts_running(self) -> list[Path]:
        return [script for script, _ in self._running.values()]

    def _listen(self) -> None:
        """Wait for the SIGTERM that has ended a member: SLURM's goes to all processes, to this one perhaps a bit later.

        SLURM then also has the time to say why, as that the job took too much memory.
        """
        end = time.monotonic() + LISTEN_SECONDS
        while signal.SIGTERM not in self._received and time.monotonic() < end:
            time.sleep(0.05)

    def _wait_for_one(self) -> None:
        """Wait until a member ends, and note how."""
        pid, waited = os.wait()
        if pid not in self._running:  # of the process that members are forks of
            return
        script, _ = self._running.pop(pid)
        if script == self._following:
            self._following = None
        code = os.waitstatus_to_exitcode(waited)
        if code in (-signal.SIGTERM, 128 + signal.SIGTERM):
            self._listen()
        if code and signal.SIGTERM in self._received:
            self.incomplete = True
            return
        try:
            write_status(script, code)
        except OSError as error:
            _print(f"{script.name} ended with {code}, which could not be noted: {error}")
            self.incomplete = True


def _print(message: str) -> None:
    with suppress(OSError):  # the disk may be full for this, too
        print(message, file=sys.stderr, flush=True)


def main() -> int:
    """Run the members of the folder that the command line names; the exit status."""
    parser = ArgumentParser(description="Run the members of a SLURM job.")
    parser.add_argument("folder", type=Path)
    parser.add_argument(AT_A_TIME, type=int, help="members that may run at the same time; default: all")
    parser.add_argument(STAGES, nargs="+", help="those of which members are jobs; default: no common process")
    parser.add_argument(THREADS, type=int, default=1, help="of most members, for their common process")
    parser.add_argument(BELOW, default="", help="what members put before all paths (`prefix:` of a module)")
    arguments = parser.parse_args()
    with suppress(OSError):
        node_file(arguments.folder).write_text(os.environ.get("SLURMD_NODENAME", ""))
    environment = environment_of_jobs(arguments.threads)
    of_forks = environment | ({BELOW_VARIABLE: arguments.below} if arguments.below else {})
    with started(arguments.stages, of_forks) if arguments.stages else nullcontext(environment) as warm:
        # Of the common process they have its place alone: each says by itself what it puts before its paths.
        own = environment | ({"PATH": warm["PATH"]} if "PATH" in warm else {})
        complete = Launcher(arguments.folder.resolve(), arguments.at_a_time, own).run()
    return 0 if complete else 128 + signal.SIGTERM


if __name__ == "__main__":
    sys.exit(main())
