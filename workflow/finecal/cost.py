"""Which jobs of the selected studies are measured, and where their measurements are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from finecal import paths
from finecal.paths import RunKey
from finecal.plan import Plan

Coordinates = dict[str, str | int]


class MeasuredJob(NamedTuple):
    """A job that Snakemake measures.

    Attributes
    ----------
    stage
        Key of `paths.MEASURED`.
    coordinates
        Those of `COORDINATES` that the job has.
    result
        A Parquet file that the job wrote; its provenance names the device.
    measurement
        Snakemake's benchmark file. It is missing where results were copied without it.
    """

    stage: str
    coordinates: Coordinates
    result: Path
    measurement: Path


COORDINATES = ("dataset", "domain", "task", "backbone", "recipe", "split", "seed")


def measured_jobs(plan: Plan) -> tuple[MeasuredJob, ...]:
    """The jobs in the order of the pipeline, each once."""
    found = {(job.stage, job.result): job for run in plan.trainings for job in _of(plan, run)}
    order = {stage: place for place, stage in enumerate(paths.MEASURED)}
    return tuple(sorted(found.values(), key=lambda job: order[job.stage]))


def _of(plan: Plan, run: RunKey) -> Iterator[MeasuredJob]:
    """The measured jobs that a training needs or that need it."""
    shared: Coordinates = {"dataset": run.dataset}
    for domain in (run.source, run.target):
        yield _job("prepare", {**shared, "domain": domain}, paths.IMAGES)
    pretrained = {**shared, "domain": run.source, "backbone": run.backbone}
    yield _job("pretrain", pretrained, f"{paths.PRETRAINED}/{paths.HISTORY}", source=run.source)
    task = {**shared, "task": run.task, "backbone": run.backbone}
    yield _job("extract_pretrained", task, paths.PRETRAINED_LOGITS)
    yield _job("finetune", run.columns(), f"{paths.RUN}/{paths.HISTORY}")
    if run.split != paths.ALL_CLASSES and "pseudo_splits" in plan.reads(run):
        yield _job("pcv", run.columns(), paths.PSEUDO_HISTORY)
    yield _job("extract", run.columns(), f"{paths.RUN}/{paths.LOGITS}")
    if run.split != paths.ALL_CLASSES and "interpolated" in plan.takes(run):
        yield _job("interpolate", run.columns(), paths.INTERPOLATED)


def _job(stage: str, coordinates: Coordinates, result: str, **more: str) -> MeasuredJob:
    filled = [Path(pattern.format(**coordinates, **more)) for pattern in (result, paths.MEASURED[stage])]
    return MeasuredJob(stage, coordinates, *filled)
