"""Estimate the time that is left from what similar jobs took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from statistics import fmean

from finecal import display
from finecal.plan.jobs import Job
from finecal.training.progress import read_progress

MEASURED_AT_MOST = 50  # jobs of a kind whose seconds are averaged
Kind = tuple[str | int | None, ...]


def time_left(done: Iterable[Job], left: Iterable[Job], running: Sequence[Job]) -> str:
    """Say the time that is left, from the mean seconds of similar jobs, or for a running training from its log.

    Similar are the jobs of one stage, data set and backbone; where none of them is done, all of the stage.

    Parameters
    ----------
    done, left
        The jobs that are, and those that are not.
    running
        Those of `left` that run.
    """
    left = [job for job in left if job.measurement is not None]
    if not left:
        return "What is left takes seconds per job."
    known = _Known(done)
    at_work = {(job.stage, job.result) for job in running}
    seconds, unknown = 0.0, Counter[str]()
    for job in left:
        said = read_progress(job.log) if (job.stage, job.result) in at_work else None
        expected = said.seconds_left if said and said.seconds_left is not None else known.seconds(job)
        if expected is None:
            unknown[job.record.title] += 1
        else:
            seconds += expected
    if unknown.total() == len(left):
        return f"Time left: not known before a job of {', '.join(sorted(unknown))} is done."
    at_once = max(1, len(running))
    together = "one job at a time" if at_once == 1 else f"{at_once} jobs at a time"
    time = display.duration(seconds / at_once)
    if not unknown:
        return f"Time left: about {time} with {together}, and seconds for each job not measured."
    open_ = ", ".join(f"{n:,} of {stage}" for stage, n in sorted(unknown.items()))
    jobs = "job, the first of its stage" if unknown.total() == 1 else "jobs, the first of their stages"
    return f"Time left: at least {time} with {together}; not counted: {open_} ({jobs})."


class _Known:
    """The mean seconds of jobs that are done, by what they have in common."""

    def __init__(self, done: Iterable[Job]) -> None:
        self._done: dict[Kind, list[Job]] = {}
        self._mean: dict[Kind, float | None] = {}
        for job in done:
            for kind in _kinds(job):
                self._done.setdefault(kind, []).append(job)

    def seconds(self, job: Job) -> float | None:
        for kind in _kinds(job):
            if kind not in self._mean:
                self._mean[kind] = _mean_seconds(self._done.get(kind, []))
            if (found := self._mean[kind]) is not None:
                return found
        return None


def _kinds(job: Job) -> tuple[Kind, Kind]:
    """Return the kinds of a job, the closest first."""
    return (job.stage, job.coordinates.get("dataset"), job.coordinates.get("backbone")), (job.stage,)


def _mean_seconds(done: Iterable[Job]) -> float | None:
    from finecal.stages.cost_table import read_measurement

    found = (read_measurement(job.measurement)["wall_seconds"] for job in done if job.measurement is not None)
    seconds = [value for value in islice(found, MEASURED_AT_MOST) if value == value]  # NaN: not measured
    return fmean(seconds) if seconds else None
