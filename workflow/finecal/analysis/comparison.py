"""Two runs beside each other: how their accuracies differ on the same test samples, and what was done differently.

The differences are paired: both models classify the same samples, so what counts is on how many of them only one of
the two is right. The interval speaks of other test samples like these, not of other trainings; for those the seeds are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finecal import paths
from finecal.analysis.intervals import NAN, Interval, Runs, difference_of
from finecal.analysis.statistics import runs_of
from finecal.calibration.inputs import read_split
from finecal.errors import UserError
from finecal.io.parquet import read_metadata, read_table
from finecal.paths import RESULTS, RUN_KEYS, RunKey

METRICS = ("acc_y_y", "acc_s_y", "acc_u_y")
PLAIN = "none"


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two runs, from its finished files.

    Attributes
    ----------
    names
        Names of the C classes.
    fine_tuning
        (C,) bool: the classes of S.
    samples, metrics, curve
        Its samples.parquet, metrics.parquet and curve.parquet.
    options
        What decided the fine-tuning, resolved.
    """

    run: RunKey
    names: tuple[str, ...]
    fine_tuning: npt.NDArray[np.bool_]
    samples: pd.DataFrame
    metrics: pd.DataFrame
    curve: pd.DataFrame
    options: Mapping[str, Any]

    @classmethod
    def read(cls, run: RunKey) -> Side:
        """Raises UserError for a file that is missing, with the command that makes it."""
        files = {name: run.folder / name for name in (paths.SAMPLES, paths.METRICS, paths.CURVE)}
        files |= {paths.HISTORY: run.folder / paths.HISTORY, paths.SPLIT: run.path(paths.SPLIT)}
        for file in files.values():
            if not file.is_file():
                raise UserError(
                    "this file is missing", where=str(file), why="Runs are compared by their finished results",
                    hint=f"`snakemake {file}` makes it",
                )  # fmt: skip
        frames = {name: read_table(file).to_pandas() for name, file in files.items() if name != paths.SPLIT}
        fine_tuning, names = read_split(files[paths.SPLIT])
        return cls(
            run, names, fine_tuning, frames[paths.SAMPLES], frames[paths.METRICS], frames[paths.CURVE],
            read_metadata(files[paths.HISTORY])["options"],
        )  # fmt: skip

    def value(self, calibrator: str, metric: str) -> float:
        """A metric of the fine-tuned classifier with a calibrator; NaN if it is not there."""
        table = self.metrics
        chosen = (table["classifier"] == "fine_tuned") & (table["calibrator"] == calibrator)
        found = table[chosen & (table["metric"] == metric)]["value"]
        return float(found.iloc[0]) if len(found) else NAN

    def runs(self, calibrator: str, metric: str) -> Runs | None:
        """A metric of the fine-tuned classifier; its cell has no name, so that two runs can be paired."""
        found = runs_of(self.metrics, metric, "fine_tuned", calibrator)
        return None if found is None else replace(found, cells=[("", 0)] * len(found.cells))

    def right(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each test sample is classified right without calibration."""
        table = self.samples
        right: npt.NDArray[np.bool_] = (
            np.where(table["margin"] >= 0, table["best_s"], table["best_u"]) == table["label"]
        )
        return right

    @cached_property
    def calibrators(self) -> tuple[str, ...]:
        tuned = self.metrics[self.metrics["classifier"] == "fine_tuned"]
        return tuple(dict.fromkeys(tuned["calibrator"]))


@dataclass(frozen=True)
class Difference:
    """A metric of one method in both runs, and B minus A with its 95 % interval over the n test samples.

    `low` and `high` are NaN where single samples are not known, or S differs and so do the samples.
    """

    calibrator: str
    metric: str
    a: float
    b: float
    difference: Interval


@dataclass(frozen=True, eq=False)
class Comparison:
    """What there is to say about two runs.

    Attributes
    ----------
    same_split
        Whether S is the same in both: else only acc_y_y speaks of the same samples.
    differences
        Of the methods that both have, each with acc_y_y, acc_s_y, acc_u_y.
    options
        Dotted name of a setting → its value in A and in B, of those that differ.
    classes
        One row per class with test samples: number, name, group_a, group_b ("S" or "U"), n, a, b (accuracy of the
        fine-tuned classifiers in [0, 1]), change; the largest change first.
    """

    a: Side
    b: Side
    same_split: bool
    differences: tuple[Difference, ...]
    options: Mapping[str, tuple[Any, Any]]
    classes: pd.DataFrame


def compare(first: RunKey, second: RunKey) -> Comparison:
    """Compare two runs that were tested on the same samples.

    Raises
    ------
    UserError
        If they are one run, were tested on different samples, or a file is missing.
    """
    if first == second:
        raise UserError("a run cannot be compared with itself", where=str(first.folder))
    if (first.dataset, first.target) != (second.dataset, second.target):
        raise UserError(
            f"the runs were tested on different images: {first.dataset}, {first.target} and "
            f"{second.dataset}, {second.target}",
            where=f"{first.folder} and {second.folder}", why="Both must have the same data set and target domain",
        )  # fmt: skip
    a, b = Side.read(first), Side.read(second)
    for column in ("sample", "label"):
        if not np.array_equal(a.samples[column], b.samples[column]):
            raise UserError(
                "the runs were tested on different samples", where=f"{first.folder} and {second.folder}",
                hint="One of them is out of date: `snakemake` makes it anew",
            )  # fmt: skip
    same = bool(np.array_equal(a.fine_tuning, b.fine_tuning))
    shared = [name for name in a.calibrators if name in b.calibrators]
    differences = tuple(_difference(a, b, name, metric, same) for name in shared for metric in METRICS)
    options = {
        **{name: (getattr(first, name), getattr(second, name)) for name in RUN_KEYS},
        **_paired(_flat(a.options), _flat(b.options)),
    }
    changed = {name: (one, other) for name, (one, other) in options.items() if one != other}
    return Comparison(a, b, same, differences, changed, _classes(a, b))


def _difference(a: Side, b: Side, calibrator: str, metric: str, same_split: bool) -> Difference:
    values = a.value(calibrator, metric), b.value(calibrator, metric)
    runs = a.runs(calibrator, metric), b.runs(calibrator, metric)
    if runs[0] is None or runs[1] is None or any(map(math.isnan, values)):  # as acc_y_y is without a test sample of U
        return Difference(calibrator, metric, *values, Interval(values[1] - values[0], NAN, NAN, 0))
    found, n = difference_of(runs[1], runs[0]), int(runs[0].n)
    if metric != "acc_y_y" and not same_split:
        found = Interval(found.mean, NAN, NAN, n)
    return Difference(calibrator, metric, *values, found._replace(n=n))


def _classes(a: Side, b: Side) -> pd.DataFrame:
    plain = [side.right() for side in (a, b)]
    table = pd.DataFrame({"number": a.samples["label"], "a": plain[0], "b": plain[1]}).astype(float)
    found = table.groupby("number").agg(n=("a", "size"), a=("a", "mean"), b=("b", "mean")).reset_index()
    found["number"] = found["number"].astype(int)
    found.insert(1, "name", [a.names[number] for number in found["number"]])
    for place, (column, side) in enumerate({"group_a": a, "group_b": b}.items(), start=2):
        found.insert(place, column, np.where(side.fine_tuning[found["number"]], "S", "U"))
    found["change"] = found["b"] - found["a"]
    order = found["change"].abs().sort_values(ascending=False, kind="stable").index
    return found.loc[order].reset_index(drop=True)


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in options.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _paired(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (one.get(name), other.get(name)) for name in dict.fromkeys([*one, *other])}


def default_page(first: RunKey, second: RunKey) -> Path:
    """Where the page goes if nobody says: beside the report, named after what the runs do not share."""
    differing = [name for name in RUN_KEYS if getattr(first, name) != getattr(second, name)]
    words = ["-".join(_short(run, name) for name in differing) for run in (first, second)]
    return Path(RESULTS) / f"compare_{'_'.join(words)}.html"


def _short(run: RunKey, coordinate: str) -> str:
    value = getattr(run, coordinate)
    return f"seed{value}" if coordinate == "seed" else str(value)
