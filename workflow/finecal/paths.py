"""All path patterns of the project; no other module builds a path.

The patterns use Snakemake's wildcard syntax, which is also `str.format`'s. All are relative to the
working directory.

Where another workflow has taken finecal's rules over with `prefix:`, Snakemake puts that before the paths of rules, and
jobs do the same: the variable FINECAL_BELOW tells them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from finecal.errors import UserError

# Where Snakefile, config.yaml and profiles/ lie: a checkout, or the copy beside an installed finecal.
_COPY = Path(__file__).parents[1] / "finecal_project"
PROJECT = _COPY if _COPY.is_dir() else Path(__file__).parents[2]
WORKFLOW = PROJECT / "workflow"

# What stands before all paths of jobs, with a slash at its end; nothing in the process that runs Snakemake.
BELOW_VARIABLE = "FINECAL_BELOW"
BELOW = os.path.join(os.environ.get(BELOW_VARIABLE, ""), "")  # noqa: PTH118 - a beginning of names, not a path
RESULTS = f"{BELOW}results"
STATE = f"{BELOW}state"

# Downloads belong to the data set's module, so data sets that differ in options only share them.
DOWNLOADS = f"{BELOW}resources/{{module}}"
DOWNLOAD = DOWNLOADS + "/{file}"

# What is known of the user's own files (io/contents.py), whatever is made of them; no data set is called like a hidden
# folder.
CONTENTS = "state/.contents"

DATASET = f"{RESULTS}/{{dataset}}"
IMAGES = DATASET + "/images/{domain}.parquet"
IMAGES_OF_TARGET = DATASET + "/images/{target}.parquet"
# As a backbone with a preprocessing of its own is shown them.
FRAMED = DATASET + "/images/{domain}/{backbone}.parquet"
SPLIT = DATASET + "/splits/{split}.parquet"

# A pretrained model depends on its source domain only, so the tasks of one source share it.
PRETRAINED = DATASET + "/pretrained/{source}/{backbone}"
PRETRAINED_LOGITS = DATASET + "/{source}-{target}/{backbone}/pretrained/logits.parquet"

RUN = DATASET + "/{source}-{target}/{backbone}/{recipe}/{split}/seed{seed}"
# The split whose fine-tuning classes are all of Y: "oracle fine-tuning" is any recipe run on it.
ALL_CLASSES = "all"
ORACLE_LOGITS = RUN.replace("{split}", ALL_CLASSES) + "/logits.parquet"
PSEUDO = RUN + "/pcv"
PSEUDO_LOGITS = PSEUDO + "/logits.parquet"
PSEUDO_HISTORY = PSEUDO + "/history.parquet"
EXPORT = RUN + "/export/{calibrator}"
INTERPOLATED = RUN + "/interpolated/logits.parquet"

MODEL = "model.safetensors"
HEAD = "head.parquet"
HISTORY = "history.parquet"
CLASS_MEANS = "class_means.parquet"
LOGITS = "logits.parquet"
CALIBRATION = "calibration.parquet"
CURVE = "curve.parquet"
METRICS = "metrics.parquet"
SAMPLES = "samples.parquet"
UPDATE_SIMILARITY = "update_similarity.parquet"
UPDATE_SIMILARITY_MEANS = "update_similarity_means.parquet"
FEATURE_MAP = "feature_map.parquet"
DECISION_REGIONS = "decision_regions.parquet"
GAMMA_DRAWS = "gamma_draws.parquet"
CHECK = "check.parquet"

TABLE = f"{RESULTS}/tables/{{table}}"
FIGURE = f"{RESULTS}/figures/{{figure}}"
RESOLVED = f"{RESULTS}/studies.yaml"
REPORT = f"{RESULTS}/report.html"

# Name of an aggregated table → the file of a run that it is made from.
AGGREGATED = {
    "metrics": METRICS,
    "calibration": CALIBRATION,
    "curve": CURVE,
    "history": HISTORY,
    "update_similarity": UPDATE_SIMILARITY,
    "update_similarity_means": UPDATE_SIMILARITY_MEANS,
    "feature_map": FEATURE_MAP,
    "decision_regions": DECISION_REGIONS,
    "gamma_draws": GAMMA_DRAWS,
}
# Those too large to hold all runs: of each setting its first run is in them, which the figures draw.
OF_FIRST_RUNS = frozenset({"update_similarity", "feature_map", "decision_regions"})

# What Snakemake may match for each wildcard: one folder name; a task's is those of two domains.
WILDCARDS = {
    "module": r"[^/]+",
    "file": r"[^/]+",
    "dataset": r"[^/]+",
    "domain": r"[^/-]+",
    "source": r"[^/-]+",
    "target": r"[^/-]+",
    "backbone": r"[^/]+",
    "recipe": r"(?!pretrained/)[^/]+",
    "split": r"[^/]+",
    "calibrator": r"[^/]+",
    "seed": r"0|[1-9]\d{0,9}",
}


@dataclass(frozen=True, order=True)
class RunKey:
    """The coordinates of one fine-tuning run; they are columns of every table made from it."""

    dataset: str
    task: str
    backbone: str
    recipe: str
    split: str
    seed: int

    @property
    def source(self) -> str:
        return self.task.split("-")[0]

    @property
    def target(self) -> str:
        return self.task.split("-")[1]

    @cached_property
    def folder(self) -> Path:
        return self.path(RUN)

    def columns(self) -> dict[str, str | int]:
        return {name: getattr(self, name) for name in RUN_KEYS}

    def path(self, pattern: str, **further: str) -> Path:
        """Fill a pattern of this module with this run's coordinates and further wildcards."""
        return Path(pattern.format(**self._filling, **further))

    @cached_property
    def _filling(self) -> dict[str, str | int]:
        return {**self.columns(), "source": self.source, "target": self.target, "domain": self.target}

    @property
    def pretrained_folder(self) -> Path:
        return self.path(PRETRAINED)

    def oracle(self) -> RunKey:
        """Return the run with the same recipe and seed that trains on all classes."""
        return RunKey(self.dataset, self.task, self.backbone, self.recipe, ALL_CLASSES, self.seed)

    @classmethod
    def of(cls, folder: str | Path) -> RunKey:
        """Read the coordinates back from a run's folder, or from a file in it.

        Raises
        ------
        UserError
            If the path does not follow the pattern of a run.
        """
        found = parse(RUN, str(folder))
        if found is None:
            raise UserError(
                f"{str(folder)!r} is not the folder of a run",
                why=f"A run's folder is {RUN}",
                hint="`finecal check` prints the runs of a study",
            )
        return cls.named(**found)

    @classmethod
    def named(cls, source: str, target: str, seed: str, **names: str) -> RunKey:
        """Make a run from the values of the wildcards in `RUN`."""
        return cls(task=f"{source}-{target}", seed=int(seed), **names)


# The columns that name a run; of these, those of its setting, which is compared, and those of one repetition.
RUN_KEYS = tuple(field.name for field in fields(RunKey))
SETTING_KEYS = ("dataset", "task", "backbone", "recipe")
CELL_KEYS = ("split", "seed")


def images_of(dataset: str, domain: str, backbone: str, *, framed: bool) -> str:
    """Return the file of a domain's images as a backbone reads them."""
    return (FRAMED if framed else IMAGES).format(dataset=dataset, domain=domain, backbone=backbone)


def downloads_folder(source: str) -> Path:
    """Return the folder with the downloads of a data set's module, given by its name or the path of a file."""
    return Path(DOWNLOADS.format(module=Path(source).name.removesuffix(".py")))


def parse(pattern: str, path: str) -> dict[str, str] | None:
    """Return the wildcard values with which `path` (or a folder above it) matches `pattern`, else None."""
    regex = re.sub(r"\\\{(\w+)\\\}", lambda m: f"(?P<{m[1]}>{WILDCARDS[m[1]]})", re.escape(pattern))
    match = re.match(f"(?:\\./)?{regex}(?:/|$)", path)
    return match.groupdict() if match else None


def state_folder(result: str | Path) -> Path:
    """Return the folder where an unfinished training keeps its state.

    It lies outside the results, since Snakemake deletes the outputs of a failed job, and would delete the state with
    them. That of pseudo-splits lies beside that of their run, not in it: the two jobs run at the same time, and each
    removes its own at its end.
    """
    place = Path(STATE) / Path(result).relative_to(RESULTS)
    if parse(PSEUDO, str(result)):
        return place.parent.with_name(f"{place.parent.name}.{place.name}")
    return place
