"""All jobs of the selected studies: what each makes, where its log is, and where its cost is measured."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from finecal import paths
from finecal.errors import UserError
from finecal.paths import RunKey
from finecal.plan import axes
from finecal.plan.plan import Plan

Coordinates = dict[str, str | int]
# All coordinates that a measured job can have.
JOB_KEYS = ("dataset", "domain", "task", "backbone", "recipe", "split", "seed")

_OF_RUN = "{dataset}/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}.log"
# Stage → the file that its job makes (of several a table, which says what made it) and its log, in the order of the
# pipeline.
FILES = {
    "download": (paths.DOWNLOAD, "logs/download/{module}/{file}.log"),
    "prepare": (paths.IMAGES, "logs/prepare/{dataset}/{domain}.log"),
    "split": (paths.SPLIT, "logs/split/{dataset}/{split}.log"),
    "pretrain": (f"{paths.PRETRAINED}/{paths.HISTORY}", "logs/pretrain/{dataset}/{source}/{backbone}.log"),
    "class_means": (
        f"{paths.PRETRAINED}/{paths.CLASS_MEANS}",
        "logs/extract/{dataset}/{source}/{backbone}/class_means.log",
    ),
    "extract_pretrained": (
        paths.PRETRAINED_LOGITS,
        "logs/extract/{dataset}/{source}-{target}/{backbone}/pretrained.log",
    ),
    "finetune": (f"{paths.RUN}/{paths.HISTORY}", f"logs/finetune/{_OF_RUN}"),
    "pcv": (paths.PSEUDO_HISTORY, f"logs/pcv/{_OF_RUN}"),
    "extract": (f"{paths.RUN}/{paths.LOGITS}", f"logs/extract/{_OF_RUN}"),
    "interpolate": (paths.INTERPOLATED, f"logs/interpolate/{_OF_RUN}"),
    "calibrate": (f"{paths.RUN}/{paths.CALIBRATION}", f"logs/calibrate/{_OF_RUN}"),
    "evaluate": (f"{paths.RUN}/{paths.METRICS}", f"logs/evaluate/{_OF_RUN}"),
    "similarity": (f"{paths.RUN}/{paths.UPDATE_SIMILARITY}", f"logs/similarity/{_OF_RUN}"),
    "gamma_data": (f"{paths.RUN}/{paths.GAMMA_DRAWS}", f"logs/gamma_data/{_OF_RUN}"),
    "embed": (f"{paths.RUN}/{paths.FEATURE_MAP}", f"logs/embed/{_OF_RUN}"),
    "regions": (f"{paths.RUN}/{paths.DECISION_REGIONS}", f"logs/regions/{_OF_RUN}"),
    "aggregate": (f"{paths.TABLE}.parquet", "logs/aggregate/{table}.log"),
    "table": (f"{paths.TABLE}.parquet", "logs/table/{table}.log"),
    "figure": (f"{paths.FIGURE}.parquet", "logs/figure/{figure}.log"),
    "report": (paths.REPORT, "logs/report.log"),
}


# Stage → its name where code and options are told, if that is another.
IDENTITY_STAGES = {"class_means": "means", "extract_pretrained": "extract", "pcv": "pseudo"}
# What a job makes beside the file in `FILES`.
FURTHER = {
    "pretrain": (f"{paths.PRETRAINED}/{paths.MODEL}", f"{paths.PRETRAINED}/{paths.HEAD}"),
    "finetune": (f"{paths.RUN}/{paths.MODEL}", f"{paths.RUN}/{paths.HEAD}"),
    "pcv": (paths.PSEUDO_LOGITS,),
    "evaluate": (f"{paths.RUN}/{paths.CURVE}", f"{paths.RUN}/{paths.SAMPLES}"),
    "similarity": (f"{paths.RUN}/{paths.UPDATE_SIMILARITY_MEANS}",),
    "table": tuple(f"{paths.TABLE}.{suffix}" for suffix in ("csv", "md", "tex")),
    "figure": tuple(f"{paths.FIGURE}.{suffix}" for suffix in ("svg", "png")),
    "report": (paths.RESOLVED,),
}


class Job(NamedTuple):
    """One job.

    Attributes
    ----------
    stage
        Key of `FILES`.
    coordinates
        Its wildcards; of `domain` and `source` the former, as in the table of costs.
    """

    stage: str
    coordinates: Coordinates

    @property
    def result(self) -> Path:
        """The file that shows that the job is done."""
        return _filled(FILES[self.stage][0], self.coordinates)

    @property
    def outputs(self) -> list[Path]:
        """All that the job makes, `result` first."""
        return [self.result, *(_filled(pattern, self.coordinates) for pattern in FURTHER.get(self.stage, ()))]

    @property
    def identity_stage(self) -> str:
        """Key of `finecal.plan.code_digests.STAGE_FILES`."""
        if self.stage == "aggregate" and self.coordinates["table"] in ("cost", "runs"):
            return str(self.coordinates["table"])
        return IDENTITY_STAGES.get(self.stage, self.stage)

    @property
    def has_provenance(self) -> bool:
        """Whether `result` is a table, which says what made it."""
        return self.result.suffix == ".parquet"

    @property
    def wildcards(self) -> Coordinates:
        """The coordinates, and the wildcards of paths that follow from them."""
        return _wildcards(self.coordinates)

    @property
    def log(self) -> Path:
        """What the job says."""
        return _filled(FILES[self.stage][1], self.coordinates)

    @property
    def measurement(self) -> Path | None:
        """Snakemake's benchmark file; None for a job that is not measured.

        It is missing where results were copied without it.
        """
        pattern = paths.MEASURED.get(self.stage)
        return None if pattern is None else _filled(pattern, self.coordinates)


def jobs(plan: Plan) -> tuple[Job, ...]:
    """The jobs of all results that the selected studies have, each once, in the order of the pipeline."""
    return _in_order(_all(plan))


def measured_jobs(plan: Plan) -> tuple[Job, ...]:
    """Those whose cost is in the table of costs; their result is a table, whose provenance names the device."""
    return _in_order(job for job in _all(plan) if job.stage in paths.MEASURED)


def _in_order(found: Iterable[Job]) -> tuple[Job, ...]:
    each = {(job.stage, *job.coordinates.values()): job for job in found}
    order = {stage: place for place, stage in enumerate(FILES)}
    return tuple(sorted(each.values(), key=lambda job: order[job.stage]))


def _all(plan: Plan) -> Iterator[Job]:
    for file in plan.all_downloads():
        yield Job("download", {"module": file.parent.name, "file": file.name})
    for dataset, domain in plan.domains():
        yield Job("prepare", {"dataset": dataset, "domain": domain})
    for run in plan.trainings:
        yield from _of_training(plan, run)
    for run in plan.runs:
        for stage in ("calibrate", "evaluate", "similarity", "gamma_data"):
            yield Job(stage, run.columns())
    for run in plan.first_runs:
        yield Job("embed", run.columns())
    for run in plan.runs_in("decision_regions"):
        yield Job("regions", run.columns())
    for table in axes.aggregated(plan.axes()):
        yield Job("aggregate", {"table": table})
    for kind in ("table", "figure"):
        for name in axes.applicable(kind, plan.axes()):
            yield Job(kind, {kind: name})
    yield Job("report", {})


def _of_training(plan: Plan, run: RunKey) -> Iterator[Job]:
    """A training, what it needs, and what is computed of its model."""
    dataset: Coordinates = {"dataset": run.dataset}
    yield Job("split", {**dataset, "split": run.split})
    split = plan.options("split", run.dataset, run.split)
    if split["kind"] == "clustered":
        similar: Coordinates = {**dataset, "domain": split["source"], "backbone": split["backbone"]}
        yield Job("pretrain", similar)
        yield Job("class_means", similar)
    yield Job("pretrain", {**dataset, "domain": run.source, "backbone": run.backbone})
    yield Job("extract_pretrained", {**dataset, "task": run.task, "backbone": run.backbone})
    yield Job("finetune", run.columns())
    yield Job("extract", run.columns())
    if run.split != paths.ALL_CLASSES:
        if "pseudo_splits" in plan.reads(run):
            yield Job("pcv", run.columns())
        if "interpolated" in plan.takes(run):
            yield Job("interpolate", run.columns())


def job_of(plan: Plan, path: Path) -> Job:
    """The job that makes a file.

    Raises
    ------
    UserError
        If it is an output of no job of the selected studies.
    """
    place = Path(os.path.normpath(path))
    for job in jobs(plan):
        if place in job.outputs:
            return job
    raise UserError(
        "no job of the selected studies makes this file", where=str(path), why=f"Selected: {', '.join(plan.names)}",
        hint="Paths are relative to the working directory; `finecal status` prints the results",
    )  # fmt: skip


def _filled(pattern: str, coordinates: Coordinates) -> Path:
    return Path(pattern.format(**_wildcards(coordinates)))


def _wildcards(coordinates: Coordinates) -> Coordinates:
    """The coordinates, and the wildcards of paths that follow from them."""
    source, _, target = str(coordinates.get("task", coordinates.get("domain"))).partition("-")
    return {**coordinates, "source": source, "target": target}
