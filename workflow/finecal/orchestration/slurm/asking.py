"""Snakemake's SLURM executor with questions to SLURM about jobs: when they are asked, and with which command."""

from __future__ import annotations

import shutil
import time

from finecal.orchestration.slurm import job_states
from finecal.orchestration.slurm.upstream import (
    SlurmExecutor,
    get_min_job_age,
    query_job_status,
    query_job_status_sacct,
    query_job_status_squeue,
)

NEVER = float("inf")


class AskingExecutor(SlurmExecutor):
    """As the plugin's, which asks in another way."""

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        chosen = self.workflow.executor_settings.status_command
        self._command = "sacct" if chosen == "sacct" and shutil.which("sacct") else "squeue"
        self._answers = job_states.Answers(names_all=False)
        self._longest_interval = job_states.longest_interval(self._command, get_min_job_age())
        self._interval = 0.0  # seconds between the last two questions
        self._due = NEVER  # when to ask next, by the monotonic clock

    def ask_no_more(self) -> None:
        """Note that there is nothing to ask about."""
        self._due = NEVER

    def is_time_to_ask(self) -> bool:
        """Return whether the time has come; it begins to run when this is called first."""
        if self._due == NEVER:
            self.ask_later(soon=True)
        return time.monotonic() >= self._due

    def ask_later(self, *, soon: bool) -> None:
        """Set the time of the next question: the first interval, or more than the last one."""
        first = self.workflow.executor_settings.init_seconds_before_status_checks
        self._interval = min(first if soon else self._interval + job_states.STEP, self._longest_interval)
        self._due = time.monotonic() + self._interval

    async def query_states(self, numbers: list[str]) -> dict[str, str] | None:
        """Return the state of each job by its number; None if SLURM does not answer. Then it is asked again in time."""
        query = query_job_status_sacct if self._command == "sacct" else query_job_status_squeue
        states: dict[str, str] | None
        async with self.status_rate_limiter:
            states, _ = await query_job_status(query(self.run_uuid), self.logger)
        if states is None:
            self.logger.warning("SLURM does not answer the question about the jobs; it will be asked again.")
        elif self._command == "sacct" and job_states.may_return(numbers, states):
            # A job that has returned to the queue is there a while before accounting knows.
            async with self.status_rate_limiter:
                queue, _ = await query_job_status(query_job_status_squeue(self.run_uuid), self.logger)
            states = None if queue is None else {**states, **queue}
        self._answers.names_all = self._command == "squeue" and not self.uses_other_clusters
        return states

    async def query_places(self, failed: list[str]) -> dict[str, str]:
        """Return, by the number of each failed job, where it ran and why it ended, as far as SLURM says it."""
        if not failed:
            return {}
        async with self.status_rate_limiter:
            places, _ = await query_job_status(job_states.place_command(self._command, failed), self.logger)
        return {number: place.removesuffix(" (None)") for number, place in (places or {}).items()}
