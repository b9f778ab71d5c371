"""How far the selected studies are: what is done, what runs, what has stopped, and the time left. Only reads.

Nothing is asked of Snakemake, and SLURM one question if jobs were submitted, so it answers at once, also while they
work. What is known comes from the results themselves, the logs, the marks that Snakemake keeps of the outputs it has
begun, and what lies beside the scripts of SLURM jobs. Whether a result is out of date `snakemake -n` says.
"""

from __future__ import annotations

import enum
import fcntl
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path

from finecal import paths
from finecal.cli.time_left import time_left
from finecal.errors import counted
from finecal.io.lease import held_by
from finecal.orchestration.marks import begun_outputs
from finecal.orchestration.slurm.places import Place, find_places, find_reasons, read_hold
from finecal.orchestration.workers import Worker, at_work
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
    return _sort(plan, find_places())


def _sort(plan: Plan, places: Mapping[str, Place]) -> dict[State, list[Job]]:
    _names.cache_clear()  # of an earlier look
    begun = begun_outputs()
    busy = bool(at_work())
    found: dict[State, list[Job]] = {state: [] for state in State}
    for job in jobs(plan):
        found[_state(job, begun, places.get(str(job.result)), busy=busy)].append(job)
    return found


def describe(plan: Plan) -> str:
    """Describe all jobs as text."""
    places = find_places()
    found = _sort(plan, places)
    total, done = sum(map(len, found.values())), len(found[State.DONE])
    others = at_work()
    lines = [
        f"{', '.join(plan.names)}: {done:,} of {counted(total, 'job')} done",
        *_at_work(others, places),
        "",
        *_table(found),
    ]
    if found[State.RUNNING]:
        lines += ["", "Running:", *_list_jobs(found[State.RUNNING], partial(_of_running, places))]
    if waiting := [job for job in found[State.WAITING] if str(job.result) in places]:
        lines += ["", "Submitted:", *_list_jobs(waiting, partial(_of_submitted, places))]
    if found[State.STOPPED]:
        lines += ["", "Stopped (failed, killed, or the result was removed):"]
        lines += _list_jobs(found[State.STOPPED], partial(_of_stopped, find_reasons()))
    if done < total:
        left = [job for state, some in found.items() if state is not State.DONE for job in some]
        lines += ["", time_left(found[State.DONE], left, found[State.RUNNING])]
    return "\n".join(lines)


def _at_work(others: Iterable[Worker], places: Mapping[str, Place]) -> Iterable[str]:
    """Say who is at work, and what they wait for."""
    if others:
        yield f"Snakemake is at work here ({' and '.join(map(str, others))})"
        if hold := read_hold():
            yield f"It submits nothing for now: {' '.join(hold.splitlines())}"
    else:
        yield "No Snakemake is at work here"
        if places:
            yield "Its jobs in SLURM go on: start it again with the same command, and it follows them"


def _state(job: Job, begun: Mapping[str, float], place: Place | None, *, busy: bool) -> State:
    if place is not None:
        runs = place.is_running and place.has_turn and _modified(job.log) >= int(place.submitted)
        return State.RUNNING if runs else State.WAITING
    mark = begun.get(str(job.result))
    if mark is None and _is_there(job.result):
        return State.DONE
    if mark is not None and busy:
        # The log is opened when the job starts; an older one is of an earlier try.
        return State.RUNNING if _modified(job.log) >= mark else State.WAITING
    if _is_held_by_hand(job):
        return State.RUNNING
    return State.STOPPED if _is_there(job.log) else State.TO_DO


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


def _of_running(places: Mapping[str, Place], job: Job) -> Iterable[str]:
    known, place = read_progress(job.log), places.get(str(job.result))
    said = "; ".join([*([known.text] if known else []), *([place.describe(job.stage)] if place else [])])
    return [f"{_name(job)}{f': {said}' if said else ''}"]


def _of_submitted(places: Mapping[str, Place], job: Job) -> Iterable[str]:
    return [f"{_name(job)}: {places[str(job.result)].describe(job.stage)}"]


def _of_stopped(reasons: Mapping[str, str], job: Job) -> Iterable[str]:
    said = [line for line in read_tail(job.log).splitlines() if line.strip()][-LINES:]
    why = [f"      SLURM: {line.strip()}" for line in reasons.get(str(job.result), "").splitlines() if line.strip()]
    return [_name(job), *(f"      {line}" for line in said or ["(its log is empty)"]), f"      ({job.log})", *why]
