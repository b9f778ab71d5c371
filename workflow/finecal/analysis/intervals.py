"""Values of one metric in runs → their mean, or its difference between two methods, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from finecal.analysis.spread import Cells, Floats, Spread, spread, wilson
from finecal.metrics.classifiers import ORACLE, PRETRAINED

CONFIDENCE = 0.95
NAN = float("nan")
FEWEST = 20  # test samples: fewer of a single training are too few to speak of others
UNBOUNDED = ("nll", "cdnv")  # metrics, by their beginning, that are not from 0 to 1


class Interval(NamedTuple):
    """A mean over n trainings, or over n samples, with its interval; `low` and `high` are NaN where there is none."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)


UNKNOWN = Interval(NAN, NAN, NAN, 0)


@dataclass(frozen=True, eq=False)
class Runs:
    """The values of one metric of one method.

    Attributes
    ----------
    metric, classifier
        Names.
    cells
        (R) split and seed.
    values
        (R,), without NaN.
    influences
        (R, G) what each group of test samples contributes, or None where that is not known.
    n
        Test samples of a run.
    bias
        How much too large the values may be for want of samples: intervals reach further down by this.
    """

    metric: str
    classifier: str
    cells: Cells
    values: Floats
    influences: npt.NDArray[np.float32] | None
    n: float
    bias: float = 0.0

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Runs:
        """Take them from rows of the aggregated metrics, at least one; NaN values are left out."""
        (found,) = runs_by(rows, []).values()
        return found

    @property
    def trainings(self) -> int:
        """Count the trainings that the values are of: the pretrained model is one, oracle fine-tuning one per seed."""
        if self.classifier == PRETRAINED:
            return min(len(self.cells), 1)
        return len({seed for _, seed in self.cells}) if self.classifier == ORACLE else len(self.cells)

    def only(self, cells: Cells) -> Runs:
        """Keep the runs of these cells, in their order."""
        place = {cell: number for number, cell in enumerate(self.cells)}
        rows = [place[cell] for cell in cells]
        kept = None if self.influences is None else self.influences[rows]
        return replace(self, cells=list(cells), values=self.values[rows], influences=kept)


def runs_by(metrics: pd.DataFrame, by: Sequence[str]) -> dict[tuple[Any, ...], Runs]:
    """Return the runs of each group of rows of the aggregated metrics, by the values of some columns, as they appear.

    All rows of a group are of one metric and classifier. In each group the runs are sorted, so that no number depends
    on the order of rows.
    """
    names = ("metric", "classifier", "split", "seed", "value", "n")
    metric, classifier, split, seed, value, n = (metrics[name].tolist() for name in names)
    bias = metrics["bias"].tolist() if "bias" in metrics else [0.0] * len(metrics)
    influences = metrics["influences"].tolist() if "influences" in metrics else [None] * len(metrics)
    keys = zip(*(metrics[name].tolist() for name in by), strict=True) if by else [()] * len(metrics)
    places: dict[tuple[Any, ...], list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    found = {}
    for key, rows in places.items():
        kept = sorted((i for i in rows if not math.isnan(value[i])), key=lambda i: (split[i], seed[i]))
        values = np.array([value[i] for i in kept], np.float64)
        mean_n, mean_bias = (float(np.mean([x[i] for i in kept])) if kept else 0.0 for x in (n, bias))
        cells = [(split[i], seed[i]) for i in kept]
        first = rows[0]
        found[key] = Runs(
            metric[first], classifier[first], cells, values, stacked([influences[i] for i in kept]), mean_n, mean_bias
        )
    return found


NO_RUNS = Runs("", "", [], np.zeros(0), None, 0.0)


def mean_of(runs: Runs, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean over runs with its interval: Wilson's for what lies in [0, 1], otherwise symmetric."""
    if not len(runs.values):
        return UNKNOWN
    found = spread_of([runs])
    mean, half = float(found.mean[0]), float(found.of_means(confidence)[0])
    if _too_few(found, runs):
        half = NAN
    low, high = mean - half, mean + half
    if not math.isnan(half) and not runs.metric.startswith(UNBOUNDED) and 0 <= mean <= 1:
        low, high = wilson(mean, half, max(runs.n, 1.0), confidence)
    return Interval(mean, max(low - runs.bias, 0.0) if runs.bias else low, high, runs.trainings)


def difference_of(one: Runs, other: Runs, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of one minus other over the runs that both have, paired by run and test sample.

    Of accuracies, whose samples count −1, 0 or 1, the interval is that of Bonett and Price (2012), Adjusted Wald.
    """
    there = set(other.cells)
    shared = [cell for cell in one.cells if cell in there]
    if not shared:
        return UNKNOWN
    both = [one.only(shared), other.only(shared)]
    found = spread_of(both)
    mean, pseudo = float(found.mean[0] - found.mean[1]), one.n if is_accuracy(one.metric) else 0.0
    half = NAN if _too_few(found, one) else float(found.of_differences(confidence, pseudo)[0, 1])
    centre = mean * one.n / (one.n + 2) if pseudo and found.groups > 1 else mean
    n = max(runs.trainings for runs in both)
    below, above = max(one.bias - other.bias, 0.0), max(other.bias - one.bias, 0.0)
    return Interval(mean, min(centre - half, mean) - below, max(centre + half, mean) + above, n)


def is_accuracy(metric: str) -> bool:
    """Return whether a metric counts samples that are right, all with the same weight."""
    return metric.removeprefix("ncm_").startswith("acc_")


def values_of(values: Floats, cells: Cells) -> Interval:
    """Return the mean of one number per run, of which nothing is known for single samples, with a symmetric interval.

    >>> values_of(np.array([1.0, 2.0, 3.0]), [("a", 0), ("b", 0), ("c", 0)])
    Interval(mean=2.0, low=-0.4841377118..., high=4.4841377118..., n=3)
    """
    kept = ~np.isnan(values)
    if not kept.any():
        return UNKNOWN
    chosen = [cell for cell, there in zip(cells, kept, strict=True) if there]
    found = spread(values[kept][:, None], chosen, None, np.zeros(1, bool))
    mean, half = float(found.mean[0]), float(found.of_means(CONFIDENCE)[0])
    return Interval(mean, mean - half, mean + half, int(kept.sum()))


def _too_few(found: Spread, runs: Runs) -> bool:
    """Return whether only test samples could speak, and they are too few."""
    return found.clusters < 2 and runs.n < FEWEST


def spread_of(methods: Sequence[Runs]) -> Spread:
    """Return means and covariances of M methods over the same runs."""
    known = [runs.influences for runs in methods if runs.influences is not None]
    alike = len(known) == len(methods) and len({one.shape for one in known}) == 1
    return spread(
        np.stack([runs.values for runs in methods], axis=1), methods[0].cells,
        np.stack(known, axis=1) if alike else None, np.array([runs.classifier == ORACLE for runs in methods]),
    )  # fmt: skip


def stacked(lists: Sequence[Any]) -> npt.NDArray[np.float32] | None:
    """Return (R, G) of lists of numbers; None if there is none, one is missing or they differ in length."""
    if not lists or any(not isinstance(one, np.ndarray | list) for one in lists):
        return None
    return np.stack([np.asarray(one, np.float32) for one in lists]) if len({len(one) for one in lists}) == 1 else None
