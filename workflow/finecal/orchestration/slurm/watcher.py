"""Snakemake's SLURM executor with a watch over what was submitted that loses no job, up to the end of Snakemake."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from finecal.orchestration.slurm import job_states
from finecal.orchestration.slurm.asking import POLL_SECONDS
from finecal.orchestration.slurm.ending import end_at_next_interrupt
from finecal.orchestration.slurm.markers import left_file, look_into, taken_by
from finecal.orchestration.slurm.outcomes import FOLLOWER, SCRIPT, ReportingExecutor
from finecal.orchestration.slurm.recovery import explain_missing_logs

POLL_SHARE = 0.05  # of the time may be spent on them: a slow file system is asked more rarely


class WatchingExecutor(ReportingExecutor):
    """As the plugin's, but for how it learns of the end of jobs (job_states.py), and for its own end."""

    _gone: frozenset[Path] | set[Path] = frozenset()  # folders of which the launcher has ended early

    @property
    def is_watching(self) -> bool:
        """Whether any submitted job waits or runs."""
        return bool(self._alive)

    def release_held(self) -> None:
        """Submit what SLURM did not take before."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Submit no more, then cancel what was submitted; from now on a Ctrl-C ends at once."""
        self._stopping.set()
        end_at_next_interrupt(self.run_names)
        self.shared_jobs.disown()
        if self._alive:
            self.logger.info(
                "Waiting for SLURM to take the end of its jobs; trainings save their state there. "
                "Press Ctrl-C once more to end without waiting."
            )
        self.end_threads()
        super().cancel()

    def cancel_jobs(self, active_jobs: Sequence[Any]) -> None:
        """Cancel all jobs that live, each SLURM job once. Where SLURM refuses, Snakemake ends all the same."""
        living = {info.external_jobid: info for info in (*active_jobs, *self._alive.values()) if info.external_jobid}
        for number in self.shared_jobs.living():  # some have only followers left
            living.setdefault(number, SubmittedJobInfo(None, external_jobid=number))
        try:
            super().cancel_jobs(list(living.values()))
        except WorkflowError as error:
            self.logger.warning(f"{error}\nLook with `squeue --me` for what is left: {', '.join(living)}.")

    def shutdown(self) -> None:
        """End, and say what it means if a SLURM job that has failed did not even begin its log."""
        self._stopping.set()
        super().shutdown()
        explain_missing_logs(self._logs_of_failed)
        self._logs_of_failed.clear()  # Snakemake may end an executor twice

    async def check_active_jobs(self, active_jobs: Sequence[Any]) -> AsyncIterator[Any]:
        """Report the jobs that have ended and yield those that go on.

        The files of their launcher tell of members, about once a second; SLURM tells of all others, and of members
        without such a file, and is asked more rarely.
        """
        self.next_seconds_between_status_checks = POLL_SECONDS
        self.release_held()
        if not active_jobs:  # so it is before __post_init__
            self.ask_no_more()
            return
        start = time.monotonic()
        folders = {info.aux[SCRIPT].parent for info in active_jobs if SCRIPT in (info.aux or {})}
        look_into(folders)
        left = [info for info in active_jobs if not (self.report_member(info) or self._submit_passed_over(info))]
        self.next_seconds_between_status_checks = max(POLL_SECONDS, (time.monotonic() - start) / POLL_SHARE)
        if left:
            self._note_early_ends(folders)
        if left and self.is_time_to_ask():
            left = await self._ask_slurm(left)
        for info in left:
            yield info

    def _note_early_ends(self, folders: Iterable[Path]) -> None:
        """Ask SLURM soon if a launcher has ended early, once for each."""
        gone = {folder for folder in folders if left_file(folder).exists()}
        if gone - self._gone:
            self.ask_soon()
        self._gone = gone

    async def _ask_slurm(self, infos: Sequence[Any]) -> list[Any]:
        """Report the jobs that SLURM says have ended; return the others."""
        followers = [follower for info in infos if (follower := (info.aux or {}).get(FOLLOWER))]
        of_followers = [number for follower in followers for number in self.shared_jobs.numbers(follower)]
        asked = list(dict.fromkeys([*(info.external_jobid for info in infos if info.external_jobid), *of_followers]))
        states = await self.query_states(asked)
        outcomes = {} if states is None else {n: self._answers.outcome(n, states) for n in asked}
        for number, outcome in outcomes.items():
            if outcome != job_states.GOES_ON:
                self.shared_jobs.note_end(number)
        failed = [number for number, outcome in outcomes.items() if outcome in job_states.FAILURES]
        places = await self.query_places(failed)
        used = await self.query_usage(failed)
        rules = {info.external_jobid: info.job.name for info in infos if info.external_jobid and not _is_waiting(info)}
        stuck = {} if states is None else await self.find_stuck(states, rules)
        self.cancel_stuck(list(stuck))
        going_on = []
        for info in infos:
            outcome = outcomes.get(info.external_jobid, job_states.GOES_ON)
            if (why := stuck.get(info.external_jobid or "")) and not _is_waiting(info):
                self.report_stuck(info, why)
                continue
            # A member may have ended while SLURM was asked.
            if (
                _is_waiting(info)
                or outcome == job_states.GOES_ON
                or not (self.report_member(info) or self.report_outcome(info, outcome, places, used))
            ):
                going_on.append(info)
        self.ask_later(soon=self._has_one_ended)
        self._has_one_ended = False
        return going_on

    def _submit_passed_over(self, info: SubmittedJobInfo) -> bool:
        """Submit a follower that no launcher will begin by itself; return whether it is one."""
        follower = (info.aux or {}).get(FOLLOWER)
        if follower is None:
            return False
        if name := taken_by(follower.script):
            info.external_jobid = name
        if not self.shared_jobs.will_never_run(follower) or not self.shared_jobs.take_back(info.job, follower):
            return False
        self.submit_alone(info)
        return True


def _is_waiting(info: SubmittedJobInfo) -> bool:
    """Return whether a job is a follower that no launcher has begun."""
    follower = (info.aux or {}).get(FOLLOWER)
    return follower is not None and not follower.has_begun
