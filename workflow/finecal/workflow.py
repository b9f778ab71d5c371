"""What the Snakefile asks: which inputs a job has, what decides its result, how many GPUs it gets.

Imported by every job's Snakemake, so nothing heavy here.
"""

from __future__ import annotations

import inspect
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

from finecal import axes, paths, plugins, runs
from finecal.code import PACKAGE, digests, plugin_files
from finecal.datasets._stored import Stored
from finecal.errors import UserError, unknown
from finecal.jobs import measured_jobs
from finecal.paths import RunKey
from finecal.plan import IMPORTED, Plan, own_weights
from finecal.settings import parse_settings
from finecal.sources import check_open_clip, clip_files, weights_files

T = TypeVar("T")

# The files of a table and of a figure, first the one to look at.
PRESENTED = {
    "table": (paths.TABLE, ("md", "parquet", "csv", "tex")),
    "figure": (paths.FIGURE, ("svg", "png", "parquet")),
}

# Threads that decode the files of a data set; Snakemake gives a job no more than there are cores.
DECODING_THREADS = 8

# The wildcards on which a stage's options depend.
COORDINATES: dict[str, tuple[str, ...]] = {
    "prepare": ("dataset", "domain"),
    "split": ("dataset", "split"),
    "pretrain": ("dataset", "backbone"),
    "means": ("dataset", "backbone"),
    "extract": ("dataset", "backbone"),
    "finetune": ("dataset", "backbone", "recipe"),
    "pseudo": ("dataset", "backbone", "recipe"),
    "similarity": (),
    "embed": (),
    "regions": (),
    "aggregate": (),
    "cost": (),
    "runs": (),
    "table": ("table",),
    "figure": ("figure",),
    "report": (),
}


# What decides the result of jobs that take over checkpoints, beside the files of their stage.
OF_CHECKPOINTS = [PACKAGE / name for name in ("checkpoints.py", "sources.py", "stages/take_over.py")]


def or_stop(make: Callable[[], T]) -> T:
    """The result; a UserError ends Snakemake with its one paragraph and status 2, without a traceback."""
    try:
        return make()
    except UserError as error:
        print(f"finecal: {error}", file=sys.stderr)
        sys.exit(2)


def keep_signatures(rules: Iterable[Any]) -> None:
    """Note the parameters of the rules' functions, for which Snakemake asks again and again: before every call."""
    for rule in rules:
        for function in (*rule.input, *rule.params):
            if isinstance(function, FunctionType):
                function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]


class Workflow:
    """The plan of the selected studies as seen by the rules.

    Parameters
    ----------
    config
        Snakemake's configuration: config.yaml with `--config` on top.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.settings = parse_settings(dict(config))
        self.plan = Plan(self.settings.studies)
        _check_writable(Path("results"))
        self.study_option = "--study " + shlex.join(self.settings.studies)
        # One torch thread per job: small models gain nothing from more, and the jobs run side by side.
        self.threads = 1
        # Those that show something of the selected studies; the others say so when they are asked for.
        self.tables = axes.applicable("table", self.plan.axes())
        self.figures = axes.applicable("figure", self.plan.axes())
        self.report_reads = axes.read_by_report(self.plan.axes())
        self._stages: dict[tuple[str, ...], dict[str, Any]] = {}

    def torch_options(self, *, on_cluster: bool) -> str:
        """What a job that runs models is told; on a cluster `auto` means the GPU that the job has asked for."""
        device = "cuda" if on_cluster and self.settings.device == "auto" else self.settings.device
        told = [f"--device {device} --state-interval {self.settings.state_interval:g}"]
        if self.settings.precision != "auto":
            told.append(f"--precision {self.settings.precision}")
        if self.settings.data_memory is not None:
            told.append(f"--data-memory {self.settings.data_memory:g}")
        if self.settings.compile:
            told.append("--compile")
        return " ".join(told)

    def gpus(self, *, on_cluster: bool) -> int:
        """GPUs of a job that runs models: on `auto` one, except on this machine if it has none."""
        if self.settings.device == "auto":
            return int(on_cluster or _has_gpu())
        return int(self.settings.device == "cuda")

    def decoding_threads(self, dataset: str) -> int:
        """Threads that prepare a data set: several if its images are files, which decode side by side."""
        source = or_stop(lambda: self.plan.options("prepare", dataset)["source"])
        return DECODING_THREADS if issubclass(plugins.load("dataset", source).Options, Stored) else 1

    def gpu_percent(self, gpus: int) -> int:
        """The part of this machine's GPU that a job takes: with `runs_per_gpu` jobs it is in full use."""
        return gpus * (100 // self.settings.runs_per_gpu)

    def divide_memory(self, jobs: Iterable[Any], cores: int) -> None:
        """Tell the jobs of this machine how many of them may fill its memory at the same time (finecal.memory).

        Parameters
        ----------
        jobs
            Snakemake's jobs that are about to run; trainings and extractions count.
        """
        parts = [part for job in jobs if (part := job.resources.get("gpu_percent")) is not None]
        at_once = min([len(parts), cores, *(100 // part for part in parts if part)])
        os.environ["FINECAL_SIDE_BY_SIDE"] = str(at_once)

    def stage(self, stage: str, wildcards: Any = None) -> dict[str, Any]:
        """What decides the result of a job besides its inputs: options and code.

        One dict of plain types with sorted keys: Snakemake compares the values of `params` without their names,
        and drops those it cannot represent. Jobs that differ in split and seed only share one.
        """
        key = or_stop(lambda: self._what_decides(stage, wildcards))
        if (stage, *key) not in self._stages:
            options, extra = or_stop(lambda: self._resolve(stage, key))
            self._stages[(stage, *key)] = {"code": digests(stage, extra), "options": _sorted(options)}
        return self._stages[(stage, *key)]

    def _what_decides(self, stage: str, wildcards: Any) -> tuple[str, ...]:
        """The coordinates on which a stage's options depend; for calibrators, the studies that contain the run."""
        if stage in ("interpolate", "calibrate", "evaluate", "gamma_data"):
            return self.plan.studies_of(run_key(wildcards))
        if stage == "export":
            return (wildcards.calibrator, *self.plan.studies_of(run_key(wildcards)))
        if stage in ("finetune", "pseudo"):
            self.plan.known(run_key(wildcards))
        return tuple(getattr(wildcards, name) for name in COORDINATES[stage])

    def _resolve(self, stage: str, key: tuple[str, ...]) -> tuple[dict[str, Any], list[Path]]:
        """Options of a stage, and the plugin files that it uses."""
        if stage == "interpolate":
            return {"alphas": self.plan.alphas(key)}, []
        if stage in ("calibrate", "evaluate", "gamma_data"):
            options = self.plan.joined_calibrators(key)
            return options, plugin_files("calibrator", {use["calibrator"] for use in options.values()})
        if stage == "export":
            name, *studies = key
            uses = self.plan.joined_calibrators(tuple(studies))
            if name not in uses:
                raise unknown("calibrator", name, uses, where="export")
            return uses[name], [PACKAGE / "calibrated.py", *plugin_files("calibrator", [uses[name]["calibrator"]])]
        if stage in ("aggregate", "cost", "runs", "table", "figure", "report"):
            used = {"table": ("table", key), "figure": ("figure", key), "report": ("table", self.tables)}
            what = {"runs": runs.digest(self.plan)} if stage == "runs" else {}
            studies = list(self.settings.studies)
            return {"studies": studies, **what}, plugin_files(*used[stage]) if stage in used else []
        if stage in ("similarity", "embed", "regions"):
            return {}, []
        options = self.plan.prepare_options(*key) if stage == "prepare" else self.plan.options(stage, *key)
        if stage == "split" and options["kind"] == "official":
            source, _ = self.plan.dataset_options(key[0])
            return options, [PACKAGE / "official.py", *plugin_files("dataset", [source])]
        if options.get("recipe") == IMPORTED or (stage == "pretrain" and own_weights(options)):
            return options, OF_CHECKPOINTS
        if stage == "pretrain" and "zero_shot" in options["backbone"]:
            return options, [PACKAGE / "zero_shot.py"]
        plugin = {"prepare": ("dataset", "source"), "finetune": ("recipe",) * 2, "pseudo": ("recipe",) * 2}.get(stage)
        return options, plugin_files(plugin[0], [options[plugin[1]]]) if plugin else []

    def mirror_option(self) -> str:
        """What a job that fetches is told."""
        return f"--mirror {shlex.quote(self.settings.mirror)}" if self.settings.mirror else ""

    def downloads(self, wildcards: Any) -> list[str]:
        """The files that a domain is made from."""
        return or_stop(lambda: self._downloads(wildcards.dataset, wildcards.domain))

    def _downloads(self, dataset: str, domain: str) -> list[str]:
        folder = paths.downloads_folder(self.plan.options("prepare", dataset)["source"])
        return [str(folder / download.name) for download in self.plan.downloads(dataset, domain)]

    def pretrain_inputs(self, wildcards: Any) -> dict[str, Any]:
        """The images of the source domain, and the files of a checkpoint of the user's own."""
        w = wildcards
        options = or_stop(lambda: self.plan.options("pretrain", w.dataset, w.backbone))
        files: dict[str, Any] = {"images": or_stop(lambda: self.plan.images_of_source(w.dataset, w.source))}
        if own := own_weights(options):
            files["weights"] = or_stop(lambda: [str(file) for file in weights_files(own, "backbones")])
        if use := options["backbone"].get("zero_shot"):
            where = f"backbones.{w.backbone}.zero_shot"
            files["clip"] = or_stop(lambda: [str(file) for file in clip_files(use["model"], where)])
            # Said before any job; who looks at results that are there needs no open_clip.
            folder = paths.PRETRAINED.format(dataset=w.dataset, source=w.source, backbone=w.backbone)
            if not Path(folder, paths.MODEL).exists():
                or_stop(lambda: check_open_clip(where))
        return files

    def imported_weights(self, wildcards: Any) -> list[str]:
        """The files of the checkpoint that a run is, if it is not trained."""
        path = or_stop(lambda: self.plan.imported(self.plan.known(run_key(wildcards))))
        return or_stop(lambda: [str(file) for file in weights_files(path, "recipes")]) if path else []

    def split_inputs(self, wildcards: Any) -> list[str]:
        """The file with the names of the classes, and for a clustered split the class means."""
        split = or_stop(lambda: self.plan.options("split", wildcards.dataset, wildcards.split))
        domain = split.get("target") or or_stop(lambda: self.plan.first_domain(wildcards.dataset))
        files = [paths.IMAGES.format(dataset=wildcards.dataset, domain=domain)]
        if split["kind"] == "clustered":
            files.append(f"{paths.PRETRAINED}/{paths.CLASS_MEANS}".format(dataset=wildcards.dataset, **split))
        elif split["kind"] == "official":
            folder = paths.downloads_folder(self.plan.dataset_options(wildcards.dataset)[0])
            files += [str(folder / one.name) for one in self.plan.official_downloads(wildcards.dataset)]
        return files

    def calibration_inputs(self, wildcards: Any) -> dict[str, str]:
        """The files that the calibrators of a run read."""
        run = or_stop(lambda: self.plan.known(run_key(wildcards)))
        reads = self.plan.reads(run)
        files = {"split": run.path(paths.SPLIT), "logits": run.folder / paths.LOGITS}
        if "pretrained" in reads:
            files["pretrained"] = run.path(paths.PRETRAINED_LOGITS)
        if "pseudo_splits" in reads:
            files["pseudo_splits"] = run.path(paths.PSEUDO_LOGITS)
        if "weights" in reads:
            files["weights"] = run.folder / paths.HEAD
        return {name: str(file) for name, file in files.items()}

    def evaluation_inputs(self, wildcards: Any) -> dict[str, str]:
        """The files from which a run is scored."""
        run = or_stop(lambda: self.plan.known(run_key(wildcards)))
        files = {
            "split": run.path(paths.SPLIT),
            "calibration": run.folder / paths.CALIBRATION,
            "pretrained": run.path(paths.PRETRAINED_LOGITS),
            "logits": run.folder / paths.LOGITS,
        }
        if self.plan.has_oracle(run):
            files["oracle"] = run.oracle().folder / paths.LOGITS
        takes = self.plan.takes(run)
        if "interpolated" in takes:
            files["interpolated"] = run.path(paths.INTERPOLATED)
        if "weights" in takes:
            files["weights"] = run.folder / paths.HEAD
        return {name: str(file) for name, file in files.items()}

    def export_inputs(self, wildcards: Any) -> dict[str, str]:
        """What an exported classifier and its card are made from."""
        run = or_stop(lambda: self.plan.known(run_key(wildcards)))
        files = {
            "split": run.path(paths.SPLIT),
            "images": run.path(paths.IMAGES),
            "pretrained": run.pretrained_folder / paths.MODEL,
            "model": run.folder / paths.MODEL,
            "head": run.folder / paths.HEAD,
            "calibration": run.folder / paths.CALIBRATION,
            "metrics": run.folder / paths.METRICS,
        }
        return {name: str(file) for name, file in files.items()}

    def run_folder(self, wildcards: Any) -> str:
        """The folder of a job's run, below which it writes."""
        return str(run_key(wildcards).folder)

    def exported(self) -> list[str]:
        """For every run the card of the first calibrator that changes something and reads no test labels."""
        cards = []
        for run in self.plan.runs:
            uses = self.plan.calibrators(run)
            reads = {name: plugins.load("calibrator", use["calibrator"]).READS for name, use in uses.items()}
            name = next(
                (name for name in uses if uses[name]["calibrator"] != "none" and "test" not in reads[name]), None
            )
            if name is not None:
                cards.append(f"{paths.EXPORT}/README.md".format(**run.columns(), calibrator=name))
        return cards

    def measured(self) -> list[Path]:
        """A file of each job whose cost is in the table of costs.

        Not the measurements themselves: where results are copied without them, nothing is to be computed again.
        """
        return [job.result for job in measured_jobs(self.plan)]

    def explored(self) -> list[Path]:
        """What the page reads of single runs: their test samples and their classes.

        Not the images, of which it shows a few: where results are copied without them, no page trains anything again.
        """
        runs = self.plan.runs
        return [*(run.folder / paths.SAMPLES for run in runs), *sorted({run.path(paths.SPLIT) for run in runs})]

    def files(self, kind: str, name: str) -> list[str]:
        """All files of a table or a figure."""
        pattern, suffixes = PRESENTED[kind]
        return [f"{pattern.format(**{kind: name})}.{suffix}" for suffix in suffixes]

    def shown(self, kind: str, name: str) -> str:
        """The file of a table or a figure that people look at first."""
        return self.files(kind, name)[0]

    def needs(self, kind: str, name: str) -> list[str]:
        """The aggregated tables that a table or a figure is made from."""
        or_stop(lambda: axes.check_applicable(kind, name, self.plan.axes()))
        return [f"{paths.TABLE.format(table=table)}.parquet" for table in plugins.constant(kind, name, "NEEDS")]


@cache
def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


def run_key(wildcards: Any) -> RunKey:
    """The run of a job's wildcards."""
    w = wildcards
    return RunKey(w.dataset, w.task, w.backbone, w.recipe, w.split, int(w.seed))


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _sorted(value[key]) for key in sorted(value)}
    return [_sorted(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _check_writable(folder: Path) -> None:
    present = next(p for p in (folder, *folder.resolve().parents) if p.exists())
    if not present.is_dir():
        raise UserError(
            f"{str(present)!r} is not a folder", where=str(folder), why="The results are to be written there"
        )
    if not os.access(present, os.W_OK):
        raise UserError(
            f"the folder {str(present)!r} cannot be written", where=str(folder), hint="Use `snakemake --directory DIR`"
        )
