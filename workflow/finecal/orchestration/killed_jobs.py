"""Say in its log how a job has ended that could not say it itself: the system has killed it.

Snakemake prints `died with <Signals.SIGKILL: 9>` somewhere among the command's text, and a shell 137. Mostly it is the
system that had no memory left; Linux counts how often it has done that.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from snakemake.executors.local import Executor

MB = 10**6
SHELL = 128  # a shell's exit status for a program that a signal has ended: 128 + its number
# Signals that a job is sent by people and clusters: it says itself that it was told to end, where it can.
ASKED = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGURG})
COUNTS = Path("/proc/vmstat")


def explain_killed_jobs() -> None:
    """Let Snakemake, from now on, write into the log of a job that was killed how it has ended."""
    run = Executor.cached_or_run
    if getattr(run, "explains", False):
        return

    def cached_or_run(executor: Any, job: Any, *given: Any) -> None:
        before = count_out_of_memory()
        try:
            run(executor, job, *given)
        except BaseException as error:
            number = signal_of(error)
            if number is not None:
                _write(job, describe(number, int(job.resources.get("mem_mb", 0)), before))
            raise

    cached_or_run.explains = True  # type: ignore[attr-defined]
    Executor.cached_or_run = cached_or_run


def signal_of(error: BaseException) -> signal.Signals | None:
    """Return the signal that has ended a command, from the error of whoever has run it; None if there was none."""
    for one in _causes(error):
        if isinstance(one, subprocess.CalledProcessError):
            number = -one.returncode if one.returncode < 0 else one.returncode - SHELL
            if number in {*signal.Signals} - ASKED:
                return signal.Signals(number)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


def describe(number: signal.Signals, memory: int, before: int | None) -> str:
    """Describe the end of a job.

    Parameters
    ----------
    number
        The signal that has ended it.
    memory
        MB that it had asked for; 0 if it had not.
    before
        What `count_out_of_memory` returned before it.
    """
    if number != signal.SIGKILL:
        return f"ended by {number.name}: a library has failed, or the disk of a file that it had mapped is full"
    now = count_out_of_memory()
    if before is None or now is None:
        reason = "most likely out of memory"
    elif now > before:
        reason = "out of memory, as the system has noted"
    else:
        reason = "most likely out of memory, unless somebody has killed it"
    had = f"; it had {memory:,} MB" if memory else ""
    return (
        f"ended by SIGKILL: {reason}{had}, and this machine has {psutil.virtual_memory().total / MB:,.0f} MB for all. "
        "What is finished and the states of trainings are kept. Hint: fewer jobs at a time (`--cores`), a smaller "
        "`batch_size`, or `data_memory` in config.yaml."
    )


def count_out_of_memory() -> int | None:
    """Return how many processes this machine has killed because it was out of memory; None where it does not say."""
    try:
        lines = COUNTS.read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _write(job: Any, text: str) -> None:
    """Append a sentence to the log of a job, which is shown when the job has failed; print it where there is no log."""
    said = f"finecal: {text}\n"
    try:
        with Path(str(job.log[0])).open("a", encoding="utf-8") as log:
            log.write(said)
    except (OSError, IndexError):
        sys.stderr.write(said)
