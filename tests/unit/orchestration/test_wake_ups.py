"""The scheduler is woken as often as the rate of jobs asks for, and no more often."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.scheduling.job_scheduler import JobRateLimiter, JobScheduler
from snakemake.settings.types import MaxJobsPerTimespan

from finecal.orchestration.wake_ups import wake_rarely

JOBS = 20
COUNTED = """
import sys, threading
from snakemake import cli
from snakemake.scheduling.job_scheduler import JobScheduler
if sys.argv[1] == "rarely":
    from finecal.orchestration.wake_ups import wake_rarely
    wake_rarely()
looks, threads, select = [], [], JobScheduler.job_selector
def counted(self, jobs):
    looks.append(jobs)
    threads.append(threading.active_count())
    return select(self, jobs)
JobScheduler.job_selector = counted
try:
    cli.main(["--cores", "1", "--scheduler", "greedy", "--quiet", "all", "--max-jobs-per-timespan", sys.argv[2]])
except SystemExit as end:
    assert not end.code
print(len(looks), max(threads), sum(thread.name.startswith("Thread-") and not thread.daemon
                                    for thread in threading.enumerate()))
"""
SNAKEFILE = f"""
rule all:
    input: expand("{{number}}.txt", number=range({JOBS}))
rule one:
    output: "{{number}}.txt"
    shell: "sleep 0.03; touch {{output}}"
"""


class Scheduler(SimpleNamespace):
    """What of a scheduler counts here; `wait` is how its loop waits."""

    def __init__(self, rate: int = 2, *, queue: bool = False, seconds: str = "200ms") -> None:
        dag = SimpleNamespace(has_unfinished_queue_input_jobs=lambda: queue)
        super().__init__(
            job_rate_limiter=JobRateLimiter(MaxJobsPerTimespan(rate, seconds)),
            running={"a job"},
            workflow=SimpleNamespace(dag=dag),
            _open_jobs=threading.Semaphore(0),
        )

    def wake_later(self, delay: float = 0.2) -> None:
        JobScheduler._schedule_reevalutation(self, delay)

    def wait(self, seconds: float) -> bool:
        return self._open_jobs.acquire(timeout=seconds)


@pytest.fixture(autouse=True)
def _rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", JobScheduler._schedule_reevalutation)
    wake_rarely()


def test_while_the_rate_allows_more_only_jobs_wake_it() -> None:
    scheduler = Scheduler()
    scheduler.job_rate_limiter.register_jobs(1)
    scheduler.wake_later()
    assert not scheduler.wait(0.4)


def test_without_a_rate_only_jobs_wake_it() -> None:
    scheduler = Scheduler()
    scheduler.job_rate_limiter = None
    scheduler.wake_later()
    assert not scheduler.wait(0.4)


def test_where_the_rate_is_reached_it_wakes_once_when_there_is_room() -> None:
    scheduler = Scheduler()
    scheduler.job_rate_limiter.register_jobs(1)
    time.sleep(0.1)
    scheduler.job_rate_limiter.register_jobs(1)
    for _ in range(5):
        scheduler.wake_later()
    assert scheduler.wait(5)
    assert scheduler.job_rate_limiter.get_free_jobs() == 1
    assert not scheduler.wait(0.4)


def test_it_wakes_again_each_time_that_the_rate_is_reached() -> None:
    scheduler = Scheduler(1)
    for _ in range(3):
        scheduler.job_rate_limiter.register_jobs(1)
        scheduler.wake_later()
        assert scheduler.wait(5)
        assert scheduler.job_rate_limiter.get_free_jobs() == 1


def test_an_early_waking_does_not_wait_for_a_late_one() -> None:
    scheduler = Scheduler(1, queue=True)
    scheduler.wake_later(100)
    scheduler.job_rate_limiter.register_jobs(1)
    scheduler.wake_later()
    assert scheduler.wait(5)


def test_while_no_job_runs_that_could_wake_it_it_looks_again() -> None:
    scheduler = Scheduler()
    scheduler.running = set()
    scheduler.wake_later()
    assert scheduler.wait(5)


def test_inputs_of_a_queue_are_looked_for_again() -> None:
    scheduler = Scheduler(queue=True)
    scheduler.wake_later(0.1)
    assert scheduler.wait(5)


def test_no_job_at_all_is_no_error() -> None:
    scheduler = Scheduler(0)
    scheduler.wake_later()
    assert scheduler.wait(5)


def test_no_process_waits_for_it_at_its_end() -> None:
    scheduler: Any = Scheduler(0)
    scheduler.wake_later()
    assert scheduler._waking.daemon


def count(folder: Path, way: str, rate: str) -> tuple[int, int, int]:
    """How often Snakemake has looked for jobs, with how many threads at most, and how many it waits for at its end."""
    folder.mkdir()
    folder.joinpath("Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-c", COUNTED, way, rate]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr
    assert len(list(folder.glob("*.txt"))) == JOBS
    looks, threads, left = map(int, done.stdout.split()[-3:])
    return looks, threads, left


def test_of_a_real_snakemake(tmp_path: Path) -> None:
    """As it is, each job adds a thread; so the numbers would differ if Snakemake no longer did as is told above."""
    looks, threads, left = count(tmp_path / "rarely", "rarely", "100/1s")
    _, threads_as_it_is, left_as_it_is = count(tmp_path / "as it is", "as it is", "100/1s")
    assert looks <= JOBS + 5
    assert left == 0 < left_as_it_is
    assert threads < 10 < threads_as_it_is
