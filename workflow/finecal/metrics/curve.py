"""The exact seen–unseen curve, from one pass over the logits. Pure NumPy.

Terms as in Mai et al., "Fine-Tuning is Fine, if Calibrated" (NeurIPS 2024, arXiv 2409.16223): S are the fine-tuning
classes, U the absent ones, Y both; γ is added to every logit of U before the arg-max. With a_i = max_{c∈S} z_ic and
b_i = max_{c∈U} z_ic, whatever depends on γ depends on d_i = a_i − b_i only, so one pass over the logits
(`group_maxima`) is enough for the curve and for the accuracies at any γ.

Shapes and units as in `finecal.metrics.classification`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError, counted
from finecal.metrics.best_of_groups import best_of_groups
from finecal.metrics.order import reversed_order, stable_order
from finecal.metrics.validation import (
    Floats,
    Ints,
    Mask,
    check_fine_tuning,
    check_gamma,
    check_labels,
    check_matrix,
    reject_rows,
)


class Score(NamedTuple):
    """A fraction and the number of samples that it is the mean over."""

    value: float
    n: int


class CurvePoint(NamedTuple):
    """The accuracies at one γ."""

    gamma: float
    acc_s_y: float
    acc_u_y: float
    acc_y_y: float


@dataclass(frozen=True, eq=False)
class SeenUnseenCurve:
    """Every pair (acc_s_y, acc_u_y) that a γ can reach: K + 1 vertices for K different values of d.

    Vertex 0 is γ = −∞ (every prediction in S), vertex K is γ = +∞ (every one in U); vertex k between them is the state
    for all γ in (threshold[k−1], threshold[k]]. Counts are kept instead of fractions, so that equal accuracies compare
    equal and the area is summed without rounding.
    """

    gamma: Floats  # (K+1,) ascending; one representative of each vertex's interval
    threshold: Floats  # (K,) the different values of d, ascending
    hits_s: npt.NDArray[np.int64]  # (K+1,) samples of S that are right, falling to 0
    hits_u: npt.NDArray[np.int64]  # (K+1,) samples of U that are right, rising from 0
    n_s: int
    n_u: int

    @cached_property
    def acc_s_y(self) -> Floats:
        """(K+1,) accuracy of the samples of S over all classes."""
        return _fraction(self.hits_s, self.n_s)

    @cached_property
    def acc_u_y(self) -> Floats:
        """(K+1,) accuracy of the samples of U over all classes."""
        return _fraction(self.hits_u, self.n_u)

    @cached_property
    def acc_y_y(self) -> Floats:
        """(K+1,) accuracy of all samples over all classes."""
        return _fraction(self.hits_s + self.hits_u, self.n_s + self.n_u)

    @property
    def ausuc(self) -> float:
        """Σ_k (s_k − s_{k+1})(u_k + u_{k+1}) / 2: the area under acc_u_y over acc_s_y, in [0, 1].

        NaN without a sample of S or without one of U. Chao et al., ECCV 2016 (arXiv 1605.04253).
        """
        twice = int(np.sum((self.hits_s[:-1] - self.hits_s[1:]) * (self.hits_u[:-1] + self.hits_u[1:])))
        area = 2 * self.n_s * self.n_u
        return twice / area if area else float("nan")

    def at(self, gamma: float) -> CurvePoint:
        """Return the accuracies at any γ. A tie, γ = d exactly, goes to S."""
        gamma = check_gamma(gamma)
        last = len(self.threshold)
        k = last if gamma == np.inf else int(np.searchsorted(self.threshold, gamma, side="left"))
        return CurvePoint(gamma, float(self.acc_s_y[k]), float(self.acc_u_y[k]), float(self.acc_y_y[k]))

    def best(self) -> int:
        """Return the vertex with the highest acc_y_y (the oracle γ*); among equals that of the smallest |γ|."""
        if self.n_s + self.n_u == 0:
            raise UserError("a curve without samples has no best γ")
        return self._highest(self.hits_s + self.hits_u)

    def balanced(self) -> int:
        """Return the vertex with the highest (acc_s_y + acc_u_y) / 2; among equals that of the smallest |γ|."""
        if self.n_s == 0 or self.n_u == 0:
            raise UserError(
                f"no γ balances {counted(self.n_s, 'sample')} of fine-tuning classes and {self.n_u} of absent classes",
                why="Both accuracies need at least one sample",
            )
        return self._highest(self.hits_s * self.n_u + self.hits_u * self.n_s)

    def _highest(self, score: npt.NDArray[np.int64]) -> int:
        ties = np.flatnonzero(score == score.max())
        return int(ties[np.argmin(np.abs(self.gamma[ties]))])


@dataclass(frozen=True, eq=False)
class GroupMaxima:
    """The largest logit of S and of U for every sample: all that a question about γ needs."""

    value_s: Floats  # (N,) max_{c∈S} z_ic
    class_s: Ints  # (N,) the class that reaches it; the first one of equals, as np.argmax
    value_u: Floats  # (N,) the same over U
    class_u: Ints  # (N,)
    fine_tuning: Mask  # (C,) True for the classes of S

    @cached_property
    def difference(self) -> Floats:
        """(N,) d = max_S − max_U: the prediction is in S while γ ≤ d. Equal infinities are a tie: 0."""
        tie = self.value_s == self.value_u  # ∞ − ∞ would be NaN
        return np.subtract(self.value_s, self.value_u, out=np.zeros(tie.shape), where=~tie)

    @cached_property
    def order(self) -> Ints:
        """(N,) the samples by ascending d, those of equal d by their number."""
        return stable_order(self.difference)

    @cached_property
    def falling(self) -> Ints:
        """(N,) the samples by descending d, those of equal d by their number."""
        return reversed_order(self.order, self.difference)

    @cached_property
    def _predictions(self) -> Ints:
        in_s = self.value_s > self.value_u
        in_s |= (self.value_s == self.value_u) & (self.class_s < self.class_u)
        return np.where(in_s, self.class_s, self.class_u)

    def predictions(self, gamma: float = 0.0) -> Ints:
        """Return (N,) predicted classes at γ.

        γ = 0 is the model itself, the plain arg-max over Y: of equal logits the first class index wins, as with
        np.argmax, torch and the published code. For any other γ, as on the curve, equal scores of the two groups go
        to S.
        """
        if check_gamma(gamma) == 0:
            return self._predictions
        in_s = (gamma <= self.difference) & (gamma < np.inf)
        return np.where(in_s, self.class_s, self.class_u)

    def accuracies(self, labels: npt.ArrayLike, gamma: float = 0.0) -> dict[str, Score]:
        """Return the accuracies at γ; see `finecal.metrics.classification.accuracies`."""
        y = check_labels(labels, len(self.class_s), len(self.fine_tuning))
        of_s = self.fine_tuning[y]
        right = self.predictions(gamma) == y
        right_alone = np.where(of_s, self.class_s, self.class_u) == y  # arg-max inside the label's own group
        parts = {
            "acc_y_y": right,
            "acc_s_y": right[of_s],
            "acc_u_y": right[~of_s],
            "acc_s_s": right_alone[of_s],
            "acc_u_u": right_alone[~of_s],
        }
        return {name: Score(mean(part), part.size) for name, part in parts.items()}

    def curve(self, labels: npt.ArrayLike) -> SeenUnseenCurve:
        """Return the seen–unseen curve; see `seen_unseen_curve`."""
        y = check_labels(labels, len(self.class_s), len(self.fine_tuning))
        of_s = self.fine_tuning[y]
        order, d = self.order, self.difference[self.order]
        # (N + 1,) right answers among the first i samples to leave S; they are of the class that they are taken for
        left_s, left_u = np.zeros((2, d.size + 1), np.int64)
        np.cumsum((self.class_s == y).take(order), out=left_s[1:])
        np.cumsum((self.class_u == y).take(order), out=left_u[1:])
        # A vertex only behind the last of several samples with equal d.
        new = np.ones(d.size + 1, bool)
        np.not_equal(d[1:], d[:-1], out=new[1:-1])
        vertex = np.flatnonzero(new)
        threshold = d[vertex[1:] - 1]
        hits_s, hits_u = left_s[-1] - left_s[vertex], left_u[vertex]
        n_s = int(of_s.sum())
        return SeenUnseenCurve(_representatives(threshold), threshold, hits_s, hits_u, n_s, y.size - n_s)


def group_maxima(logits: npt.ArrayLike, fine_tuning: npt.ArrayLike, *, first_row: int = 0) -> GroupMaxima:
    """Find the best fine-tuning class and the best absent class of every sample in one pass over the logits.

    `first_row` is the number of the first row, for a message about one.

    >>> m = group_maxima(np.array([[1.0, 5.0, 3.0], [4.0, 0.0, 9.0]]), fine_tuning=[0, 1])
    >>> m.class_s, m.value_u, m.difference
    (array([1, 0]), array([3., 9.]), array([ 2., -5.]))
    """
    z = check_matrix(logits, "logits", "classes")
    mask = check_fine_tuning(fine_tuning, z.shape[1])
    of_s, of_u = best_of_groups(z, mask)
    reject_rows(np.isnan(of_s.value) | np.isnan(of_u.value), "logits", "contain NaN", first_row)
    return GroupMaxima(of_s.value, of_s.number, of_u.value, of_u.number, mask)


def seen_unseen_curve(logits: npt.ArrayLike, labels: npt.ArrayLike, fine_tuning: npt.ArrayLike) -> SeenUnseenCurve:
    """Return the exact seen–unseen curve in O(N·C + N log N): one pass, one sort, two cumulative sums.

    A sample is predicted in S while γ ≤ d_i and in U once γ > d_i; it is right if its label is the arg-max of its own
    group and the prediction is in that group. So acc_s_y(γ) loses the samples of S with d_i < γ, and acc_u_y(γ) gains
    those of U. A sample with d = +∞ moves only at γ = +∞, one with d = −∞ is in U at every finite γ. d is float64.

    >>> z = np.array([[3.0, 0.0], [0.0, 1.0], [2.0, 1.0]])  # S = {0}, U = {1}; d = 3, −1, 1
    >>> c = seen_unseen_curve(z, np.array([0, 1, 1]), [0])
    >>> c.gamma, c.acc_s_y, c.acc_u_y
    (array([-inf,   0.,   2.,  inf]), array([1., 1., 1., 0.]), array([0. , 0.5, 1. , 1. ]))
    >>> c.ausuc, c.best(), c.at(1.0).acc_u_y  # γ = 1 is a tie for the last sample: S keeps it
    (1.0, 2, 0.5)
    """
    return group_maxima(logits, fine_tuning).curve(labels)


def _representatives(threshold: Floats) -> Floats:
    """Return (K+1,) one γ for each interval (−∞], (t_1, t_2], …, [+∞): the midpoint where both ends are finite."""
    low, high = threshold[:-1], threshold[1:]
    with np.errstate(invalid="ignore"):
        middle = 0.5 * low + 0.5 * high  # halves first: the sum of two large numbers may overflow
    middle = np.where(middle > low, middle, high)  # neighbouring floats: rounded down, out of (low, high]
    no_low, no_high = low == -np.inf, high == np.inf
    # At most one interval has no lower end, and one no upper end.
    middle[no_low] = high[no_low] - 1
    middle[no_high] = np.maximum(low[no_high] + 1, np.nextafter(low[no_high], np.inf))  # low + 1 == low beyond 2^53
    middle[no_low & no_high] = 0
    return np.concatenate([[-np.inf], middle, [np.inf]])[: threshold.size + 1]


def _fraction(hits: npt.NDArray[np.int64], n: int) -> Floats:
    return hits / n if n else np.full(hits.shape, np.nan)


def mean(values: npt.NDArray[Any]) -> float:
    """Return the mean of an array; NaN for an empty one."""
    return float(values.mean()) if values.size else float("nan")
