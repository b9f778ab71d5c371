"""Snakemake's SLURM executor with questions to SLURM about jobs: when they are asked, and with which command."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from threading import Event
from typing import Any, TypeVar

from finecal.orchestration.slurm import job_states, reasons
from finecal.orchestration.slurm.commands import drop_options_of_user, min_job_age
from finecal.orchestration.slurm.upstream import (
    SlurmExecutor,
    query_job_status,
    query_job_status_sacct,
)

NEVER = float("inf")
REASON_SECONDS = 120.0  # between two questions why jobs wait
END_SECONDS = 5.0  # from the last act of a launcher until SLURM knows of its end
POLL_SECONDS = 1.0  # between two looks at the files of members
T = TypeVar("T")


class AskingExecutor(SlurmExecutor):
    """As the plugin's, which asks in another way."""

    _stopping = Event()  # for a thread that begins before __post_init__; never set

    def __post_init__(self, test_mode: bool = False) -> None:
        self._stopping = Event()
        drop_options_of_user()
        super().__post_init__(test_mode)
        chosen = self.workflow.executor_settings.status_command
        self._command = "sacct" if chosen == "sacct" and shutil.which("sacct") else "squeue"
        self._answers = job_states.Answers(names_all=False)
        self._longest_interval = job_states.longest_interval(self._command, min_job_age())
        self._interval = 0.0  # seconds between the last two questions
        self._due = NEVER  # when to ask next, by the monotonic clock
        self._reasons_due = 0.0
        self._reasons_told: set[str] = set()
        self.names_before: set[str] = set()
        self._stuck: Counter[str] = Counter()  # answers in a row that say that a job never starts

    @property
    def run_names(self) -> str:
        """The names of the SLURM jobs that are watched: of this main process, and of those whose jobs it took over."""
        return ",".join([self.run_uuid, *sorted(self.names_before)])

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

    def ask_soon(self) -> None:
        """Ask as soon as SLURM can know of an end that was seen."""
        self._interval = 0.0
        self._due = min(self._due, time.monotonic() + END_SECONDS)

    async def sleep(self) -> None:
        """Wait until the next look at the jobs, or until the end."""
        end = time.monotonic() + self.next_seconds_between_status_checks
        while not self._stopping.is_set() and (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, POLL_SECONDS / 2))

    async def unless_ending(self, question: Coroutine[Any, Any, T]) -> T | None:
        """Return the answer to a question to SLURM; None if Snakemake ends before it comes."""
        asked = asyncio.ensure_future(question)
        while not asked.done() and not self._stopping.is_set():
            await asyncio.wait([asked], timeout=POLL_SECONDS / 2)
        if asked.done():
            return asked.result()
        asked.cancel()
        return None

    async def query_states(self, numbers: list[str]) -> dict[str, str] | None:
        """Return the state of each job by its number; None if SLURM does not answer. Then it is asked again in time."""
        query = query_job_status_sacct if self._command == "sacct" else job_states.queue_command
        states = await self._ask(query(self.run_names))
        if states is None and not self._stopping.is_set():
            self.logger.warning("SLURM does not answer the question about the jobs; it will be asked again.")
        if states and self._command == "sacct" and job_states.may_return(numbers, states):
            # A job that has returned to the queue is there a while before accounting knows.
            queue = await self._ask(job_states.queue_command(self.run_names))
            states = None if queue is None else {**states, **queue}
        self._answers.names_all = self._command == "squeue" and not self.uses_other_clusters
        return states

    async def query_places(self, failed: list[str]) -> dict[str, str]:
        """Return, by the number of each failed job, where it ran and why it ended, as far as SLURM says it."""
        if not failed:
            return {}
        places = await self._ask(job_states.place_command(self._command, failed))
        return {number: place.replace(" (None)", "") for number, place in (places or {}).items()}

    async def query_usage(self, failed: list[str]) -> dict[str, str]:
        """Return, by the number of each failed job, the most memory that a step took, where accounting knows it."""
        if not failed or self._command != "sacct":
            return {}
        peaks = await self._ask(job_states.usage_command(failed))
        found = {step.partition(".")[0]: peak for step, peak in (peaks or {}).items() if peak}
        return {number: f"{peak} of memory" for number, peak in found.items()}

    async def find_stuck(self, states: Mapping[str, str], rules: Mapping[str, str]) -> dict[str, str]:
        """Return why jobs never start, by their numbers; print each new reason for which others wait.

        Parameters
        ----------
        states
            The answer to the last question.
        rules
            By the number of each job that is watched the name of a rule.
        """
        waiting = [number for number in rules if job_states.state_of(number, states) == "PENDING"]
        if not waiting:
            return {}
        answer = states if self._command == "squeue" else await self._ask_for_reasons()
        stuck: dict[str, str] = {}
        for number in waiting:
            if number not in answer:
                continue
            reason, start = job_states.reason_of(number, answer)
            self._stuck[number] = self._stuck[number] + 1 if reasons.is_final(reason) else 0
            meaning = reasons.advice(reason, number, rules[number])
            if self._stuck[number] >= job_states.PATIENCE:
                stuck[number] = f"SLURM would never start it ({reason}): {meaning}"
            elif not (reasons.is_usual(reason) or self._stuck[number] or reason in self._reasons_told):
                self._reasons_told.add(reason)
                expected = f" SLURM expects it to start at {start}." if start else ""
                self.logger.warning(
                    f"SLURM job {number} waits ({reason}){': ' * bool(meaning)}{meaning}.{expected} "
                    "Others may wait for the same reason; this is said once."
                )
        return stuck

    async def _ask_for_reasons(self) -> Mapping[str, str]:
        """Return what squeue says of jobs that wait, where it is not asked for states: more rarely than sacct."""
        if time.monotonic() < self._reasons_due:
            return {}
        self._reasons_due = time.monotonic() + REASON_SECONDS
        return await self._ask(job_states.reason_command(self.run_names)) or {}

    async def _ask(self, command: str) -> dict[str, str] | None:
        """Return the first two columns of an answer as a mapping; None if there is none before the end."""
        async with self.status_rate_limiter:
            found = await self.unless_ending(query_job_status(command, self.logger))
        answer: dict[str, str] | None = None if found is None else found[0]
        return answer
