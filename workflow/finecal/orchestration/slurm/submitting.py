"""Snakemake's SLURM executor that waits where SLURM takes no more jobs for now: then no try of a job is spent.

What was refused is held here, with what comes later, and submitted again some seconds after a job has ended, or after
a minute, since others may share the limit.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from finecal.errors import counted
from finecal.orchestration.modules import below_of, stage_of
from finecal.orchestration.slurm import upstream
from finecal.orchestration.slurm.accounts import most_jobs, payers
from finecal.orchestration.slurm.gpus import step_script
from finecal.orchestration.slurm.launcher import AT_A_TIME, BELOW, STAGES, THREADS
from finecal.orchestration.slurm.places import HOLDS
from finecal.orchestration.slurm.recovery import find_jobs
from finecal.orchestration.slurm.refusals import NONE_LEFT, UNCLEAR, heals, reason_of
from finecal.orchestration.slurm.requests import Request, waves
from finecal.orchestration.slurm.watcher import WatchingExecutor

# Seconds from the end of a job to the next try: SLURM counts it a moment longer. They double with each refusal.
FIRST_WAIT, LONGEST_WAIT = 5.0, 60.0
DISK = "disk"  # a reason to hold jobs


class SubmittingExecutor(WatchingExecutor):
    """As the plugin's, but for what SLURM does not take yet."""

    _held: Sequence[Any] = ()  # jobs that Snakemake has started and SLURM has not taken; here for its first look

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        self._holding = RLock()
        self._held = ()
        self._is_full = False  # whether SLURM has refused one since the last try
        self._wait, self._retry_at = FIRST_WAIT, 0.0
        self._told: set[str] = set()  # reasons that were printed
        HOLDS.unlink(missing_ok=True)  # of one that was killed

    @cached_property
    def _most_jobs(self) -> int | None:
        """How many jobs there may be in SLURM at a time; looked up before the first one is submitted."""
        if self._command != "sacct":
            return None
        jobs = [job for job in [*self.dag.needrun_jobs()] if not (job.is_local or job.is_group())]
        if (most := most_jobs(payers(jobs))) is not None:
            self.logger.info(
                f"Your account or QoS has at most {counted(most, 'job')} in SLURM at a time; so has finecal."
            )
        return most

    def cancel(self) -> None:
        """Submit no more, then cancel what was submitted."""
        with self._holding:
            self._held = ()
            HOLDS.unlink(missing_ok=True)
        super().cancel()

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Tell Snakemake that a job has succeeded; there may be room for others."""
        self._hurry()
        super().report_job_success(job_info)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Tell Snakemake that a job has failed; there may be room for others."""
        self._hurry()
        super().report_job_error(job_info, msg, **kwargs)

    def report_refused(self, job: Any, message: str) -> None:
        """Hold a job that SLURM will take later; tell Snakemake of another one."""
        is_none_left = bool(NONE_LEFT.search(message)) and bool(self.nodes.bad or self.nodes.left_by([job]))
        if is_none_left:
            self.failed_nodes.difference_update(self.nodes.bad)
            self.nodes.forgive()
        if is_none_left or heals(message, others_live=self.is_watching):
            self.hold([job], message)
        else:
            super().report_refused(job, message)

    def hold(self, jobs: Iterable[Any], message: str) -> None:
        """Keep jobs that SLURM has refused for now, and say so once for each reason."""
        found = reason_of(message).partition(" (")[0].partition("'.")[0]
        text = "What is ready waits here and is submitted when others end. No try is spent."
        self._keep(jobs, found, f"SLURM takes no more jobs for now: {found}\n{text}")

    def _keep(self, jobs: Iterable[Any], reason: str, message: str) -> None:
        with self._holding:
            self._held = [*self._held, *jobs]
            if not self._is_full:
                self._is_full = True
                self._retry_at = time.monotonic() + self._wait
                self._wait = min(2 * self._wait, LONGEST_WAIT)
            is_new = reason not in self._told
            self._told.add(reason)
            with suppress(OSError):  # the disk may be full
                HOLDS.write_text(message, "utf-8")
        if is_new:
            self.logger.warning(message)

    def hold_if_full(self, jobs: Sequence[Any]) -> bool:
        """Hold jobs where SLURM would refuse them, or where they could not write; return whether that is so."""
        with self._holding:
            is_full = self._is_full or (self._most_jobs is not None and self._count_living() >= self._most_jobs)
            if is_full:
                self._held = [*self._held, *jobs]
                if not self._is_full:
                    self._is_full, self._retry_at = True, time.monotonic() + LONGEST_WAIT
                    with suppress(OSError):
                        HOLDS.write_text(
                            f"There may be {counted(self._most_jobs or 0, 'job')} in SLURM at a time", "utf-8"
                        )
        return is_full or self._hold_if_disk_is_full(jobs)

    def _hold_if_disk_is_full(self, jobs: Sequence[Any]) -> bool:
        full = self.space.find_full(file for job in jobs for file in getattr(job, "output", ()))
        if full:
            text = "Nothing is submitted until there is room; then it goes on by itself. No try is spent."
            self._keep(jobs, DISK, f"There is no room on the disk. {full}\n{text}")
        elif DISK in self._told:
            self._told.discard(DISK)
            self.logger.info("There is room on the disk again.")
        return bool(full)

    def living(self) -> set[str]:
        """Return the numbers of the SLURM jobs that wait or run."""
        of_jobs = {info.external_jobid for info in [*self._alive.values()] if info.external_jobid}
        return of_jobs | set(self.shared_jobs.living())

    def _count_living(self) -> int:
        """Return how many SLURM jobs wait or run, with those that are about to be submitted."""
        return len(self.living()) + self.shared_jobs.unnumbered

    def release_held(self) -> None:
        """Submit again what was held, if the time has come; to be called about once a second."""
        if not self._held:
            return
        with self._holding:
            if time.monotonic() < self._retry_at or self._stopping.is_set():
                return
            jobs, self._held, self._is_full = self._held, (), False
            HOLDS.unlink(missing_ok=True)
        self.submit_again(jobs)

    def _hurry(self) -> None:
        with self._holding:
            self._wait = FIRST_WAIT
            self._retry_at = min(self._retry_at, time.monotonic() + FIRST_WAIT)

    def submit_launcher(
        self, request: Request, folder: Path, jobs: Sequence[Any], followers: Iterable[Any], *, is_warm: bool
    ) -> str:
        """Submit the launcher of a folder's scripts; return the number of the SLURM job."""
        upstream.validate_slurm_extra(request)
        params = {
            "run_uuid": self.run_uuid,
            "slurm_logfile": folder / "%j.log",
            "comment_str": f"rule_{request.name}_{len(jobs)}_jobs",
            "account": next(self.get_account_arg(request)),
            "partition": self.get_partition_arg(request),
            "workdir": self.workflow.workdir_init,
        }
        avoided = self.failed_nodes | self.nodes.left_by(jobs)
        call = upstream.sbatch_command(request, params, self.workflow.executor_settings, avoided)
        options = [AT_A_TIME, str(max(map(len, waves(jobs)))), THREADS, str(jobs[0].threads)]
        if is_warm:
            options += warm_options([*jobs, *followers])
        launcher = shlex.join(
            [self.get_python_executable(), "-m", "finecal.orchestration.slurm.launcher", str(folder), *options]
        )
        # A step, since SLURM's warnings reach steps only.
        batch = step_script(f"-n1 --nodes=1 --cpu-bind=q --cpus-per-task={request.threads}", launcher)
        try:
            done = subprocess.run(
                f"{call} /dev/stdin", shell=True, input=batch, capture_output=True, text=True, check=True
            )
        except subprocess.CalledProcessError as error:
            if UNCLEAR.search(error.stderr or "") and (taken := find_jobs(folder)):
                return taken[0]
            raise
        return upstream.read_job_number(done.stdout)


def warm_options(jobs: Iterable[Any]) -> list[str]:
    """The launcher's options for the process of which jobs are forks; none where no job is finecal's.

    Those of another module, with another prefix than that of the first, start by themselves.
    """
    known = [(stage, job.rule) for job in jobs if (stage := stage_of(job.rule))]
    if not known:
        return []
    below = below_of(known[0][1])
    return [*([BELOW, below] if below else []), STAGES, *sorted({stage for stage, _ in known})]
