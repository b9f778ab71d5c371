"""All jobs of the selected studies: the outputs, the log and the measurement of each."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from finecal import paths
from finecal.errors import UserError
from finecal.plan.plan import Plan
from finecal.plan.stage import Coordinates, Stage
from finecal.plan.stages import STAGES

# All coordinates that a measured job can have.
JOB_KEYS = ("dataset", "domain", "task", "backbone", "recipe", "split", "seed")
# Where finecal 0.1.0 left the measurements of stages that have other names now.
EARLIER_MEASUREMENTS = {
    "extract_pretrained": "benchmarks/data/extract/{dataset}/{source}-{target}/{backbone}/pretrained.tsv",
    "pseudo_splits": "benchmarks/data/pcv/{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.tsv",
}


class Job(NamedTuple):
    """One job.

    Attributes
    ----------
    stage
        Key of `finecal.plan.stages.STAGES`.
    coordinates
        Its wildcards as in the table of costs: `domain` in place of `source`, `task` in place of both domains.
    """

    stage: str
    coordinates: Coordinates

    @property
    def record(self) -> Stage:
        """The record of its stage."""
        return STAGES[self.stage]

    @property
    def result(self) -> Path:
        """The file that shows that the job is done."""
        return _fill(self.record.result, self.coordinates)

    @property
    def outputs(self) -> list[Path]:
        """All that the job makes, `result` first."""
        return [_fill(pattern, self.coordinates) for pattern in self.record.outputs.values()]

    @property
    def wildcards(self) -> Coordinates:
        """The coordinates, and the wildcards of paths that follow from them."""
        return _wildcards(self.coordinates)

    @property
    def log(self) -> Path:
        """Where the job's messages are."""
        return _fill(self.record.log, self.coordinates)

    @property
    def measurement(self) -> Path | None:
        """The file in which the job notes what it took; None for a job that is not measured.

        It is missing where results were copied without it.
        """
        pattern = self.record.benchmark
        if pattern is None:
            return None
        file = _fill(pattern, self.coordinates)
        if self.stage in EARLIER_MEASUREMENTS and not file.exists():
            earlier = _fill(EARLIER_MEASUREMENTS[self.stage], self.coordinates)
            return earlier if earlier.exists() else file
        return file


def jobs(plan: Plan) -> tuple[Job, ...]:
    """Return the jobs of all results that the selected studies have, each once, in the order of the pipeline."""
    return _jobs(plan, STAGES.values())


def measured_jobs(plan: Plan) -> tuple[Job, ...]:
    """Return the jobs of the table of costs; their result is a table, whose provenance names the device."""
    return _jobs(plan, (stage for stage in STAGES.values() if stage.measured))


def _jobs(plan: Plan, stages: Iterable[Stage]) -> tuple[Job, ...]:
    found = (Job(stage.name, coordinates) for stage in stages for coordinates in stage.jobs(plan))
    return tuple({(job.stage, *job.coordinates.values()): job for job in found}.values())


def job_of(plan: Plan, path: Path) -> Job:
    """Find the job that makes a file.

    Raises
    ------
    UserError
        If it is an output of no job of the selected studies.
    """
    place = Path(os.path.normpath(path))
    for job in jobs(plan):
        if place in job.outputs:
            return job
    known = (str(output) for job in jobs(plan) for output in job.outputs)
    raise UserError(
        "no job of the selected studies makes this file", where=str(path),
        why=f"Selected: {', '.join(plan.names)}. Most similar: {', '.join(most_similar(str(place), known))}",
        hint="Paths are relative to the working directory; `finecal status` prints the results",
    )  # fmt: skip


def most_similar(path: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Return the known paths that begin and end as a path does for the longest.

    >>> most_similar("results/a/logit.parquet", ["table1", "results/b/logits.parquet", "results/a/logits.parquet"], 1)
    ['results/a/logits.parquet']
    """

    def unlike(other: str) -> int:
        # Of characters, not of folders.
        start = len(os.path.commonprefix([path, other]))  # noqa: RUF071
        end = len(os.path.commonprefix([path[start:][::-1], other[start:][::-1]]))  # noqa: RUF071
        return max(len(path), len(other)) - start - end

    return heapq.nsmallest(limit, dict.fromkeys(known), key=unlike)


def _fill(pattern: str, coordinates: Coordinates) -> Path:
    return Path(pattern.format(**_wildcards(coordinates)))


def _wildcards(coordinates: Coordinates) -> Coordinates:
    """The coordinates, and the wildcards of paths that follow from them."""
    source, _, target = str(coordinates.get("task", coordinates.get("domain"))).partition("-")
    return {**coordinates, "source": source, "target": target}


def files_of_page(plan: Plan) -> list[str]:
    """Return what the report page reads of single runs: their test samples and their classes.

    The images, of which it shows a few, are no inputs: where results are copied without them, nothing must rerun.
    """
    splits = sorted({str(run.path(paths.SPLIT)) for run in plan.runs})
    return [*(f"{run.folder}/{paths.SAMPLES}" for run in plan.runs), *splits]
