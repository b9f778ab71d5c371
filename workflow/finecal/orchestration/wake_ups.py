"""When Snakemake's scheduler looks for jobs to start though none has ended: only where the rate of jobs is limited.

Each time it has looked, Snakemake lets a new thread wake it a second later, whose end it also awaits at its own. While
jobs wait for cores, that makes a thread, and one more look a second, for each job that has ended: 250 looks a second
after 300 jobs (findings/snakemake_wakes_once_more_per_finished_job.sh). A job that ends wakes it anyway, so a thread is
needed only where as many jobs were started as the rate allows, and one at a time is enough.

This module uses names of Snakemake's scheduler that are not public; `tests/unit/orchestration/test_wake_ups.py` fails
when an update changes them.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from snakemake.scheduling.job_scheduler import JobScheduler


def wake_rarely() -> None:
    """Let this process's scheduler, from now on, be woken no more often than it needs."""
    JobScheduler._schedule_reevalutation = _wake_later


def _wake_later(scheduler: Any, delay: float) -> None:
    """Wake the scheduler after some seconds, or when the rate lets it start a job that it cannot start now."""
    limiter, now = scheduler.job_rate_limiter, time.monotonic()
    if limiter is not None and not limiter.get_free_jobs():
        oldest = limiter._jobs[0] if limiter._jobs else time.time()
        delay = max(0.0, oldest + limiter.timespan - time.time())
    elif scheduler.running and not scheduler.workflow.dag.has_unfinished_queue_input_jobs():
        return  # the end of a job wakes it
    waiting: Any = getattr(scheduler, "_waking", None)
    if waiting is not None and now < waiting.due <= now + delay:
        return
    timer: Any = threading.Timer(delay, scheduler._open_jobs.release)
    timer.daemon = True
    timer.due = now + delay
    scheduler._waking = timer
    timer.start()
