"""Snakemake's SLURM executor that lets jobs wait a moment for others with which they may share a SLURM job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Lock
from typing import Any

from finecal.orchestration.slurm.submitting import SubmittingExecutor

TICK_SECONDS = 0.5
# Snakemake hands out jobs in small portions, those to be tried again one by one.
COLLECT_SECONDS = 5.0
# A training shares only with another one of its run, which comes at the same time; alone it goes when none comes.
QUIET_SECONDS = 2.0
# Light jobs wait so long for company while others wait or run: of these more light ones may come.
COMPANY_SECONDS = 60.0


class CollectingExecutor(SubmittingExecutor):
    """As the plugin's, but for when jobs are submitted that may share."""

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        self._collecting = Lock()
        self._collected: dict[Any, float] = {}  # jobs that may share, not yet submitted → when they came
        self._is_collecting = False

    def submit_packs(self, jobs: Sequence[Any]) -> None:
        """Submit jobs, those together that may share a SLURM job, and tell Snakemake of each."""
        raise NotImplementedError

    def shares_with_few(self, job: Any) -> bool:
        """Return whether a job shares at most with another training of its run."""
        raise NotImplementedError

    def collect(self, jobs: Sequence[Any]) -> None:
        """Submit jobs soon, together with others."""
        with self._collecting:
            self._collected |= dict.fromkeys(jobs, time.monotonic())
            if self._collected and not self._is_collecting:
                self._is_collecting = True
                self.call_in_thread(self._submit_collected)

    def _submit_collected(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            with self._collecting:
                jobs = self._take_due()
            if jobs:
                self.submit_packs(jobs)
            with self._collecting:
                if not self._collected:
                    self._is_collecting = False
                    return

    def _take_due(self) -> list[Any]:
        """Take the jobs that wait no longer."""
        now, came = time.monotonic(), self._collected
        light = {job for job in came if job.resources.get("in_turn")}
        few = {job for job in came if job not in light and self.shares_with_few(job)}
        due = {job for job in few if job.attempt > 1}  # then each is alone
        for kind, quiet in ((light, QUIET_SECONDS), (few, QUIET_SECONDS), (set(came) - light - few, COLLECT_SECONDS)):
            times = [came[job] for job in kind]
            if times and (now - max(times) >= quiet or now - min(times) >= COLLECT_SECONDS):
                due |= kind
        if (self.is_watching or len(light) < len(came)) and all(now - came[job] < COMPANY_SECONDS for job in light):
            due -= {job for job in light if len(light) < job.resources["in_turn"]}
        taken = [job for job in came if job in due]
        for job in taken:
            del came[job]
        return taken
