"""How far the selected studies are: what is done, what runs, what has stopped, and the time left. Only reads.

Nothing is asked of Snakemake or SLURM, so it answers at once, also while they work. What is known comes from the
results themselves, the logs, and the marks that Snakemake keeps of the outputs it has begun. Whether a result is out of
date is not known: `snakemake -n` tells.
"""

from __future__ import annotations

import base64
import binascii
import enum
import fcntl
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from finecal import paths
from finecal.cli.time_left import time_left
from finecal.io.lease import held_by
from finecal.orchestration.database import begun_in_database
from finecal.orchestration.workers import STATE as SNAKEMAKE
from finecal.orchestration.workers import at_work
from finecal.plan.jobs import Job, jobs
from finecal.plan.plan import Plan
from finecal.plan.stages import STAGES
from finecal.training.progress import read_progress, read_tail
from finecal.training.state_folder import lease_of

LINES = 4  # of a stopped job's log that are shown
SHOWN = 10  # jobs that are listed one by one


class State(enum.Enum):
    """What is known of a job; the order is that of the columns."""

    DONE = "done"
    RUNNING = "running"
    WAITING = "submitted"
    STOPPED = "stopped"
    TO_DO = "to do"


def states(plan: Plan) -> dict[State, list[Job]]:
    """Sort the jobs of the selected studies by what is known of them.

    A job has stopped if it has a log but neither a result nor a process: it failed, was killed, or its result was
    removed afterwards.
    """
    begun = _begun_outputs()
    busy = bool(at_work())
    found: dict[State, list[Job]] = {state: [] for state in State}
    for job in jobs(plan):
        found[_state(job, begun, busy=busy)].append(job)
    return found


def describe(plan: Plan) -> str:
    """Describe all jobs as text."""
    found = states(plan)
    total, done = sum(map(len, found.values())), len(found[State.DONE])
    others = at_work()
    lines = [
        f"{', '.join(plan.names)}: {done:,} of {total:,} jobs done",
        f"Snakemake is at work here ({' and '.join(map(str, others))})" if others else "No Snakemake is at work here",
        "",
        *_table(found),
    ]
    if found[State.RUNNING]:
        lines += ["", "Running:", *_list_jobs(found[State.RUNNING], _of_running)]
    if found[State.STOPPED]:
        lines += ["", "Stopped (failed, killed, or the result was removed):"]
        lines += _list_jobs(found[State.STOPPED], _of_stopped)
    if done < total:
        left = [job for state, some in found.items() if state is not State.DONE for job in some]
        lines += ["", time_left(found[State.DONE], left, found[State.RUNNING])]
    return "\n".join(lines)


def _state(job: Job, begun: dict[str, float], *, busy: bool) -> State:
    mark = begun.get(str(job.result))
    if mark is None and _is_there(job.result):
        return State.DONE
    if mark is not None and busy:
        # The log is opened when the job starts; an older one is of an earlier try.
        return State.RUNNING if _modified(job.log) >= mark else State.WAITING
    if _is_held_by_hand(job):
        return State.RUNNING
    return State.STOPPED if _is_there(job.log) else State.TO_DO


def _begun_outputs() -> dict[str, float]:
    """Return output → when Snakemake began its job, for all jobs whose end it has not seen.

    Snakemake keeps a file for each, whose name is the path in base 64, in pieces where it is long; or, with
    `--persistence-backend db`, a row in its database.
    """
    folder = SNAKEMAKE / "incomplete"
    begun = begun_in_database()
    for file in folder.rglob("*"):
        if file.is_file():
            coded = "".join(part.removeprefix("@") for part in file.relative_to(folder).parts)
            try:
                begun[base64.urlsafe_b64decode(coded).decode()] = file.stat().st_mtime
            except (binascii.Error, UnicodeDecodeError, FileNotFoundError):
                continue  # not such a mark, or the job has just ended
    return begun


def _is_held_by_hand(job: Job) -> bool:
    """Whether a process holds the lock on the training's state, without a Snakemake."""
    if not job.record.resumable:
        return False
    state = paths.state_folder(job.result.parent)
    lock = state.with_name(f"{state.name}.lock")
    try:
        if held_by(lease_of(lock)):
            return True
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or the file system has no flock
        return False
    return False


@cache
def _names(folder: Path) -> frozenset[str]:
    """List a folder once: asking for each of many thousand files is slow on a network file system."""
    try:
        return frozenset(file.name for file in folder.iterdir())
    except OSError:
        return frozenset()


def _is_there(file: Path) -> bool:
    return file.name in _names(file.parent)


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _table(found: dict[State, list[Job]]) -> list[str]:
    """Make one line for each stage, with one column for each state that occurs."""
    counts: dict[str, Counter[State]] = {stage: Counter() for stage in STAGES}
    for state, some in found.items():
        for job in some:
            counts[job.stage][state] += 1
    columns = [state for state in State if state is State.DONE or found[state]]
    rows = [["", *(state.value for state in columns)]]
    for stage, count in counts.items():
        if count:
            cells = [f"{count[state]:,}" if count[state] else "" for state in columns[1:]]
            rows.append([STAGES[stage].title, f"{count[State.DONE]:,}/{count.total():,}", *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [f"  {row[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]


def _list_jobs(some: list[Job], describe_one: Callable[[Job], Iterable[str]]) -> list[str]:
    lines = [line for job in some[:SHOWN] for line in describe_one(job)]
    return [*lines, *([f"  and {len(some) - SHOWN:,} more"] if len(some) > SHOWN else [])]


def _name(job: Job) -> str:
    return f"  {job.record.title}  {job.result}"


def _of_running(job: Job) -> Iterable[str]:
    known = read_progress(job.log)
    return [f"{_name(job)}{f': {known.text}' if known else ''}"]


def _of_stopped(job: Job) -> Iterable[str]:
    said = [line for line in read_tail(job.log).splitlines() if line.strip()][-LINES:]
    return [_name(job), *(f"      {line}" for line in said or ["(its log is empty)"]), f"      ({job.log})"]
