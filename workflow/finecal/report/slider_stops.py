"""The slider's stops: the seen–unseen curve of a run, thinned without moving any marked point.

A stop is a γ with the exact counts at it. Both ends of the curve and every marked γ (0, those of the calibrators, γ*)
are always stops. Between them the page keeps as many vertices as it has room for, evenly spaced along the curve; others
are left out, none is interpolated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from finecal.metrics import per_class
from finecal.metrics.classification import GroupMaxima, SeenUnseenCurve
from finecal.metrics.per_class import PerClassCurve

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TestSamples:
    """The N test samples of a run: the columns of samples.parquet, and the (C,) mask of S."""

    __test__ = False  # pytest collects classes whose names begin with Test

    sample: Counts
    label: Counts
    before: Counts | None  # None without a pretrained model
    best_s: Counts
    best_u: Counts
    margin: Floats
    fine_tuning: npt.NDArray[np.bool_]

    @property
    def of_s(self) -> npt.NDArray[np.bool_]:
        """(N,) bool: whether the label is in S."""
        members: npt.NDArray[np.bool_] = self.fine_tuning[self.label]
        return members

    def curve(self) -> SeenUnseenCurve:
        """Return the exact curve."""
        return self._maxima().curve(self.label)

    def per_class_curve(self) -> PerClassCurve:
        """Return the curve averaged per class."""
        return per_class.curve_of(self._maxima(), self.label)

    def _maxima(self) -> GroupMaxima:
        """Only the difference of the two largest logits matters, so that of U is set to 0."""
        nothing = np.zeros(len(self.label))
        return GroupMaxima(self.margin, self.best_s, nothing, self.best_u, self.fine_tuning)


def as_samples(table: pa.Table, fine_tuning: npt.NDArray[np.bool_]) -> TestSamples:
    """Return the columns of a samples.parquet as arrays."""
    columns = {name: table[name] for name in table.column_names}
    before = columns.pop("before")
    known = None if before.null_count else before.to_numpy()
    arrays = {name: column.to_numpy() for name, column in columns.items()}
    return TestSamples(before=known, fine_tuning=fine_tuning, **arrays)


@dataclass(frozen=True, eq=False)
class Stops:
    """K stops by ascending γ, the first −∞ and the last +∞, with counts of test samples (each (K,) integer).

    `macro_s` and `macro_u` are acc_s_y and acc_u_y averaged per class (each (K,) float64).
    """

    gamma: Floats
    right_s: Counts  # samples of S that are classified correctly
    right_u: Counts  # the same of U
    s_in_s: Counts  # samples of S whose prediction is in S
    u_in_s: Counts  # samples of U whose prediction is in S
    n_s: int
    n_u: int
    macro_s: Floats
    macro_u: Floats
    classes_s: int  # classes of S that have test samples
    classes_u: int
    ausuc: tuple[float, float]  # of the whole curve: per sample, per class

    def index(self, gamma: float) -> int:
        """Return the number of the stop with this γ; ValueError if there is none."""
        found = np.flatnonzero(self.gamma == gamma)
        if not len(found):
            raise ValueError(f"no stop has γ = {gamma}")
        return int(found[0])

    def leaves_s_at(self, margin: Floats) -> Counts:
        """Return the (N,) first stops at which samples with these (N,) margins are predicted in U."""
        found: Counts = np.searchsorted(self.gamma, margin, side="right")
        return np.minimum(found, len(self.gamma) - 1)


def stops(samples: TestSamples, marked: Iterable[float], room: int) -> Stops:
    """Choose the stops of a run: both ends, every marked γ, and about `room` vertices between them.

    Parameters
    ----------
    samples
        The test samples.
    marked
        The γ that must be stops.
    room
        How many other vertices there may be.
    """
    macro = samples.per_class_curve()
    curve = macro.curve
    marks = np.unique([gamma for gamma in marked if np.isfinite(gamma)])
    taken = np.searchsorted(curve.threshold, marks, side="left")
    inner = np.setdiff1d(_spaced_vertices(curve, room), [*taken, 0, len(curve.gamma) - 1])
    gamma = np.unique(np.concatenate([[-np.inf], marks, _short_gammas(curve, inner), [np.inf]]))
    vertex = np.searchsorted(curve.threshold, gamma, side="left")
    vertex[-1] = len(curve.threshold)  # also where a margin is infinite
    n_above = [
        np.count_nonzero(part) - np.searchsorted(np.sort(samples.margin[part]), _lower_end(curve, vertex), side="left")
        for part in (samples.of_s, ~samples.of_s)
    ]
    return Stops(
        gamma, curve.hits_s[vertex], curve.hits_u[vertex], n_above[0], n_above[1], curve.n_s, curve.n_u,
        macro.acc_s_y[vertex], macro.acc_u_y[vertex], macro.classes_s, macro.classes_u, (curve.ausuc, macro.ausuc),
    )  # fmt: skip


def _lower_end(curve: SeenUnseenCurve, vertex: Counts) -> Floats:
    """Return the smallest margin of a sample predicted in S at each vertex; NaN at the last, where there is none."""
    ends: Floats = np.append(curve.threshold, np.nan)[vertex]  # NaN sorts behind every number
    return ends


def _spaced_vertices(curve: SeenUnseenCurve, room: int) -> Counts:
    """Choose vertices at equal distances along the curve, a staircase: its length is what S loses plus what U gains."""
    length = (curve.acc_s_y[0] - curve.acc_s_y if curve.n_s else 0) + (curve.acc_u_y if curve.n_u else 0)
    length = np.broadcast_to(length, curve.gamma.shape)
    places = np.linspace(0, length[-1], room + 2)
    found: Counts = np.unique(np.searchsorted(length, places[1:-1]))
    return np.minimum(found, len(length) - 1)


def _short_gammas(curve: SeenUnseenCurve, vertices: Counts) -> Floats:
    """Choose a γ with few digits from each vertex's interval, where there is one: short to read and to store."""
    low, high = curve.threshold[vertices - 1], curve.threshold[vertices]
    found = curve.gamma[vertices]
    for digits in (9, 6, 4, 3):
        rounded = np.array([float(f"{value:.{digits}g}") for value in curve.gamma[vertices]])
        found = np.where((rounded > low) & (rounded <= high), rounded, found)
    return found
