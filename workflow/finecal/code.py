"""Which source files decide what a stage computes: a change in one of them reruns the stage.

Snakemake does not see imported code. Each stage's files are hashed into its rule's `params`, where they are
compared with those of the last run; unlike input files they survive a fresh clone, whose files are all new.
Modules that only carry data about (paths, the plan, the study's models, errors, the command line) are left
out: a new option there must not retrain everything. What matters of them arrives as resolved options.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from finecal import plugins

PACKAGE = Path(__file__).parent

# Raised by hand when a stage's output changes for a reason that no listed file shows.
STAGE_VERSION = 1

# What runs a model over images.
_MODELS = (
    "ahead.py",
    "augmentation.py",
    "colours.py",
    "crops.py",
    "device.py",
    "extraction.py",
    "heads.py",
    "model_files.py",
    "models.py",
    "pixels.py",
    "toy_model.py",
)
_TRAINING = (*_MODELS, "batches.py", "recipes/__init__.py", "seeds.py", "training.py")
# What fits calibrators to logits, or applies them.
_FITTED = ("calibration.py", "checks.py", "curve.py", "fitted.py", "logits.py", "metrics.py")
_RECIPES = tuple(f"recipes/_{name}.py" for name in ("frozen", "lowrank", "reference", "weights"))
_PRESENTED = ("seeds.py", "stages/present.py", "statistics.py", "wording.py")
STAGE_FILES: dict[str, tuple[str, ...]] = {
    "prepare": ("decoding.py", "images.py", "listing.py", "seeds.py", "stages/prepare.py"),
    "split": ("seeds.py", "splits.py", "stages/split.py"),
    "pretrain": (*_TRAINING, "recipes/full.py", "stages/pretrain.py"),
    "finetune": (*_TRAINING, *_RECIPES, "anatomy.py", "stages/finetune.py"),
    "pseudo": (*_TRAINING, *_RECIPES, "images.py", "stages/pseudo.py"),
    "means": (*_MODELS, "checks.py", "curve.py", "metrics.py", "stages/means.py"),
    "extract": (*_MODELS, "stages/extract.py"),
    "interpolate": (*_MODELS, "stages/interpolate.py"),
    "calibrate": (*_FITTED, "stages/calibrate.py"),
    "evaluate": (*_FITTED, "evaluation.py", "stages/evaluate.py"),
    "gamma_data": (*_FITTED, "seeds.py", "stages/gamma_data.py"),
    "similarity": ("similarity.py", "stages/similarity.py"),
    "embed": ("embedding.py", "images.py", "seeds.py", "stages/embed.py"),
    "regions": (*_MODELS, "datasets/toy.py", "stages/regions.py"),
    "export": (
        *_MODELS,
        *_FITTED,
        "card.py",
        "deployment.py",
        "exporting.py",
        "stages/export.py",
        "stages/interpolate.py",
        "wording.py",
    ),
    "aggregate": ("stages/aggregate.py",),
    "cost": ("jobs.py", "stages/cost.py"),
    "runs": ("runs.py", "stages/runs.py"),
    "table": (
        *_PRESENTED,
        "tables/__init__.py",
        "tables/_cost.py",
        "tables/_gamma.py",
        "tables/_gamma_data.py",
        "tables/_leaderboard.py",
        "tables/_methods.py",
        "tables/_text.py",
    ),
    "figure": (
        *_PRESENTED,
        "figures/__init__.py",
        "figures/_compare.py",
        "figures/_labels.py",
        "figures/_style.py",
        "tables/__init__.py",
        "tables/_cost.py",
        "tables/_gamma.py",
        "tables/_gamma_data.py",
        "tables/_leaderboard.py",
        "tables/_methods.py",
    ),
    "report": (
        *_PRESENTED,
        "advice.py",
        "checks.py",
        "curve.py",
        "diagnosis.py",
        "figures/__init__.py",
        "figures/_style.py",
        "findings.py",
        "metrics.py",
        "page/charts.py",
        "page/examples.py",
        "page/explore.js",
        "page/explorer.html.jinja",
        "page/explorer.py",
        "page/render.py",
        "page/report.html.jinja",
        "page/runs.py",
        "page/stops.py",
        "page/style.css",
        "report.py",
        "stages/report.py",
        "tables/__init__.py",
        "tables/_text.py",
    ),
}


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def digests(stage: str, extra: Iterable[str | Path] = ()) -> dict[str, str]:
    """File → leading digits of its SHA-256, for the files of a stage and further ones, sorted."""
    files = [*(PACKAGE / name for name in STAGE_FILES[stage]), *map(Path, extra)]
    named = {_name(file): _digest(file) for file in files}
    return {"stage_version": str(STAGE_VERSION), **dict(sorted(named.items()))}


def plugin_files(kind: str, names: Iterable[str]) -> list[Path]:
    """The files that define data sets, recipes or calibrators; of data sets also the shared ones that they import.

    Those of recipes are in `STAGE_FILES`. Data sets have little in common, and a change in what one of them shares with
    another must not decode all the others anew.
    """
    names = list(names)
    files = [plugins.source_file(kind, name) for name in names]
    return files if kind != "dataset" else list(dict.fromkeys([*files, *(f for name in names for f in _shared(name))]))


def _shared(dataset: str) -> list[Path]:
    """The files with a leading underscore that a data set's file imports, and those that they import."""
    pending, found = [plugins.source_file("dataset", dataset)], []
    while pending:
        for name in _imported(pending.pop()):
            file = PACKAGE / "datasets" / f"{name}.py"
            if file not in found:
                found.append(file)
                pending.append(file)
    return sorted(found)


@cache
def _imported(file: Path) -> tuple[str, ...]:
    return tuple(re.findall(r"^\s*from finecal\.datasets\.(_\w+) import ", file.read_text("utf-8"), re.MULTILINE))


def _name(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix() if file.is_relative_to(PACKAGE) else file.as_posix()
