"""Accuracies, the exact seen–unseen curve, AUSUC, nearest class mean, calibration error. Pure NumPy.

Words as in Mai et al., "Fine-Tuning is Fine, if Calibrated" (NeurIPS 2024, arXiv 2409.16223): S are the
fine-tuning classes, U the absent ones, Y both; γ is added to every logit of U before the arg-max. With
a_i = max_{c∈S} z_ic and b_i = max_{c∈U} z_ic everything that depends on γ depends on d_i = a_i − b_i only,
so one pass over the logits (`group_maxima`) serves the curve and the accuracies at any γ.

Shapes: logits (N, C) float32 or float64, labels (N,) integer; `fine_tuning` is a boolean mask (C,) or the
class indices of S. All accuracies are fractions in [0, 1], NaN where there is no sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

BLOCK_BYTES = 1 << 18  # the block and the two masks of `group_maxima` together fit in a 1 MiB L2 cache


class Score(NamedTuple):
    """A fraction and the number of samples that it is the mean of."""

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

    Vertex 0 is γ = −∞ (every prediction in S), vertex K is γ = +∞ (every one in U); vertex k between them
    is the state for all γ in (threshold[k−1], threshold[k]]. The counts are kept, not the fractions, so
    that equal accuracies compare equal and the area is summed without rounding.
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
        """The accuracies at any γ. A tie, γ = d exactly, goes to S."""
        gamma = _checked_gamma(gamma)
        last = len(self.threshold)
        k = last if gamma == np.inf else int(np.searchsorted(self.threshold, gamma, side="left"))
        return CurvePoint(gamma, float(self.acc_s_y[k]), float(self.acc_u_y[k]), float(self.acc_y_y[k]))

    def best(self) -> int:
        """The vertex with the highest acc_y_y (the oracle γ*); among equals the smallest |γ|."""
        if self.n_s + self.n_u == 0:
            raise UserError("there is no best γ on a curve without samples")
        return self._highest(self.hits_s + self.hits_u)

    def balanced(self) -> int:
        """The vertex with the highest (acc_s_y + acc_u_y) / 2; among equals the smallest |γ|."""
        if self.n_s == 0 or self.n_u == 0:
            raise UserError(
                f"no γ balances {self.n_s} samples of fine-tuning classes and {self.n_u} of absent classes",
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

    def predictions(self, gamma: float = 0.0) -> Ints:
        """(N,) predicted classes at γ.

        γ = 0 is the model as it is: the plain arg-max over Y, so equal logits go to the first class index
        (what np.argmax, torch and the published code do). For any other γ, as on the curve, equal scores
        of the two groups go to S, the one that wins without help.
        """
        if _checked_gamma(gamma) == 0:
            in_s = self.value_s > self.value_u
            in_s |= (self.value_s == self.value_u) & (self.class_s < self.class_u)
        else:
            in_s = (gamma <= self.difference) & (gamma < np.inf)
        return np.where(in_s, self.class_s, self.class_u)

    def accuracies(self, labels: npt.ArrayLike, gamma: float = 0.0) -> dict[str, Score]:
        """See `accuracies`."""
        y = _checked_labels(labels, len(self.class_s), len(self.fine_tuning))
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
        return {name: Score(_mean(part), part.size) for name, part in parts.items()}

    def curve(self, labels: npt.ArrayLike) -> SeenUnseenCurve:
        """See `seen_unseen_curve`."""
        y = _checked_labels(labels, len(self.class_s), len(self.fine_tuning))
        of_s = self.fine_tuning[y]
        order = np.argsort(self.difference, kind="stable")
        d = self.difference[order]
        # (N + 1,) right answers among the first i samples to leave S
        left_s = np.append(0, np.cumsum((of_s & (self.class_s == y))[order], dtype=np.int64))
        left_u = np.append(0, np.cumsum((~of_s & (self.class_u == y))[order], dtype=np.int64))
        # Samples with equal d change sides together: a vertex only behind the last of them.
        last = np.flatnonzero(np.append(d[1:] != d[:-1], True)[: d.size])
        vertex = np.append(0, last + 1)
        hits_s, hits_u = left_s[-1] - left_s[vertex], left_u[vertex]
        n_s = int(of_s.sum())
        return SeenUnseenCurve(_representatives(d[last]), d[last], hits_s, hits_u, n_s, y.size - n_s)


def group_maxima(logits: npt.ArrayLike, fine_tuning: npt.ArrayLike) -> GroupMaxima:
    """One pass over the logits: the best fine-tuning class and the best absent class of every sample.

    min(z, +∞) = z and min(z, −∞) = −∞: a minimum with a row of ±∞ hides one group from a contiguous
    arg-max. On blocks that stay in the cache this is faster than gathering columns (NumPy vectorises both
    steps), exact for infinite logits, and lets NaN through to where it is reported.

    >>> m = group_maxima(np.array([[1.0, 5.0, 3.0], [4.0, 0.0, 9.0]]), fine_tuning=[0, 1])
    >>> m.class_s, m.value_u, m.difference
    (array([1, 0]), array([3., 9.]), array([ 2., -5.]))
    """
    z = _checked_matrix(logits, "logits", "classes")
    n, num_classes = z.shape
    mask = _checked_fine_tuning(fine_tuning, num_classes)
    # Block and masks are three times this many rows: n // 8 keeps them below half a copy of small logits too.
    rows = max(1, min(n // 8, BLOCK_BYTES // (num_classes * z.itemsize)))
    # Repeated rows make one long contiguous loop of the minimum: 15 % faster than broadcasting.
    shown = [np.tile(np.where(group, np.inf, -np.inf).astype(z.dtype), (rows, 1)) for group in (mask, ~mask)]
    block = np.empty((rows, num_classes), z.dtype)
    row = np.arange(rows)
    values, classes = np.empty((2, n)), np.empty((2, n), np.intp)
    for start in range(0, n, rows):
        part = z[start : start + rows]
        size = len(part)
        for group in (0, 1):
            np.minimum(part, shown[group][:size], out=block[:size])
            winner = block[:size].argmax(axis=1, out=classes[group, start : start + size])
            values[group, start : start + size] = block[row[:size], winner]
    _reject_rows(np.isnan(values[0]), "logits", "contain NaN")  # one NaN makes both maxima NaN
    for group, members in enumerate((mask, ~mask)):
        # Where the whole group is −∞ the hidden classes tie with it; its first class wins.
        classes[group, values[group] == -np.inf] = np.argmax(members)
    return GroupMaxima(values[0], classes[0], values[1], classes[1], mask)


def seen_unseen_curve(logits: npt.ArrayLike, labels: npt.ArrayLike, fine_tuning: npt.ArrayLike) -> SeenUnseenCurve:
    """The whole seen–unseen curve, exact, in O(N·C + N log N): one pass, one sort, two cumulative sums.

    A sample is predicted in S while γ ≤ d_i and in U once γ > d_i; it is right if its label is the arg-max
    of its own group and the prediction is in that group. So acc_s_y(γ) loses the samples of S with d_i < γ
    and acc_u_y(γ) gains those of U. d is computed in float64. A sample with d = +∞ moves only at γ = +∞,
    one with d = −∞ is in U at every finite γ.

    >>> z = np.array([[3.0, 0.0], [0.0, 1.0], [2.0, 1.0]])  # S = {0}, U = {1}; d = 3, −1, 1
    >>> c = seen_unseen_curve(z, np.array([0, 1, 1]), [0])
    >>> c.gamma, c.acc_s_y, c.acc_u_y
    (array([-inf,   0.,   2.,  inf]), array([1., 1., 1., 0.]), array([0. , 0.5, 1. , 1. ]))
    >>> c.ausuc, c.best(), c.at(1.0).acc_u_y  # γ = 1 is a tie for the last sample: S keeps it
    (1.0, 2, 0.5)
    """
    return group_maxima(logits, fine_tuning).curve(labels)


def accuracies(
    logits: npt.ArrayLike, labels: npt.ArrayLike, fine_tuning: npt.ArrayLike, gamma: float = 0.0
) -> dict[str, Score]:
    """acc_a_b for (a, b) in y_y, s_y, u_y, s_s, u_u: samples whose label is in A, arg-max over B.

    Ties as in `GroupMaxima.predictions`: at γ = 0 the first class index, otherwise S before U.

    >>> z = np.array([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [3.0, 1.0, 2.0]])
    >>> scores = accuracies(z, np.array([0, 1, 2]), [0])
    >>> scores["acc_u_y"], scores["acc_u_u"]
    (Score(value=0.0, n=2), Score(value=1.0, n=2))
    """
    return group_maxima(logits, fine_tuning).accuracies(labels, gamma)


def class_means(features: npt.ArrayLike, labels: npt.ArrayLike, num_classes: int) -> Floats:
    """(C, D) mean of the L2-normalised features (N, D) of each class; NaN rows for classes without a sample.

    >>> class_means(np.array([[3.0, 0.0], [0.0, 2.0]]), np.array([0, 0]), 2)
    array([[0.5, 0.5],
           [nan, nan]])
    """
    x = _checked_features(features)
    y = _checked_labels(labels, len(x), num_classes)
    means = np.full((num_classes, x.shape[1]), np.nan)
    for c in np.unique(y):
        means[c] = _unit_rows(x[y == c]).mean(axis=0)
    return means


def ncm_scores(features: npt.ArrayLike, means: npt.ArrayLike) -> Floats:
    """(N, C) cosine of features (N, D) with class means (C, D); −∞ for classes without a mean.

    The scores take the place of logits in `accuracies`. A vector of zeros has cosine 0 with everything.

    >>> ncm_scores(np.array([[0.0, 7.0]]), np.array([[0.0, 1.0], [-1.0, 0.0], [np.nan, np.nan]]))
    array([[  1.,   0., -inf]])
    """
    x, m = _checked_features(features), _checked_matrix(means, "class means", "dimensions")
    if x.shape[1] != m.shape[1]:
        raise UserError(f"the features have {x.shape[1]} dimensions, the class means {m.shape[1]}")
    missing = np.isnan(m).any(axis=1)
    _reject_rows(np.isinf(m).any(axis=1), "class means", "are not finite")
    units = _unit_rows(np.where(missing[:, None], 0, m)).T  # (D, C)
    scores = np.empty((len(x), len(m)))
    for part in _blocks(x):
        np.matmul(_unit_rows(x[part]), units, out=scores[part])
    scores[:, missing] = -np.inf
    return scores


def negative_log_likelihood(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean of −log softmax(z_i)[y_i], in nats and float64; NaN without samples.

    >>> negative_log_likelihood(np.log([[1.0, 4.0, 3.0]]), np.array([1]))  # −log(4 / 8)
    0.6931471805599453
    """
    z = _checked_matrix(logits, "logits", "classes")
    y = _checked_labels(labels, *z.shape)
    losses = np.empty(len(z))
    for part, shifted, log_sum in _log_softmax(z):
        losses[part] = log_sum - shifted[np.arange(len(shifted)), y[part]]
    return _mean(losses)


def expected_calibration_error(logits: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15) -> float:
    """Σ_b (n_b / N) |accuracy_b − confidence_b| over bins (k/B, (k+1)/B] of the largest softmax value.

    Guo et al., ICML 2017 (arXiv 1706.04599). NaN without samples.

    >>> expected_calibration_error(np.zeros((2, 2)), np.array([0, 0]))  # half sure, always right
    0.5
    """
    if bins < 1:
        raise UserError(f"bins must be at least 1, got {bins}")
    z = _checked_matrix(logits, "logits", "classes")
    y = _checked_labels(labels, *z.shape)
    confidence, right = np.empty(len(z)), np.empty(len(z), bool)
    for part, shifted, log_sum in _log_softmax(z):
        confidence[part] = np.exp(-log_sum)
        right[part] = shifted.argmax(axis=1) == y[part]
    inner_edges = np.arange(1, bins) / bins
    gaps = np.bincount(np.searchsorted(inner_edges, confidence, side="left"), weights=right - confidence)
    return float(np.abs(gaps).sum() / len(z)) if len(z) else float("nan")


def harmonic_mean(a: float, b: float) -> float:
    """2ab / (a + b) of two accuracies; 0 if both are 0.

    >>> harmonic_mean(1.0, 0.5), harmonic_mean(0.0, 0.0)
    (0.6666666666666666, 0.0)
    """
    return 2 * a * b / (a + b) if a + b != 0 else 0.0


def _representatives(threshold: Floats) -> Floats:
    """(K+1,) one γ for each interval (−∞], (t_1, t_2], …, [+∞): the midpoint where both ends are finite."""
    low, high = threshold[:-1], threshold[1:]
    with np.errstate(invalid="ignore"):
        middle = 0.5 * low + 0.5 * high  # halves first: the sum of two large numbers may overflow
    middle = np.where(middle > low, middle, high)  # neighbouring floats: rounded down, out of (low, high]
    no_low, no_high = low == -np.inf, high == np.inf
    after = np.maximum(low + 1, np.nextafter(low, np.inf))  # low + 1 == low beyond 2^53
    middle = np.select([no_low & no_high, no_low, no_high], [np.zeros_like(low), high - 1, after], middle)
    return np.concatenate([[-np.inf], middle, [np.inf]])[: threshold.size + 1]


def _fraction(hits: npt.NDArray[np.int64], n: int) -> Floats:
    return hits / n if n else np.full(hits.shape, np.nan)


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _blocks(x: npt.NDArray[Any]) -> Iterator[slice]:
    """Slices of rows that are about `BLOCK_BYTES` each in float64."""
    rows = max(1, BLOCK_BYTES // (8 * x.shape[1]))
    return (slice(start, start + rows) for start in range(0, len(x), rows))


def _log_softmax(z: npt.NDArray[Any]) -> Iterator[tuple[slice, Floats, Floats]]:
    """Per block: its rows, z − max (n, C) and log Σ exp(z − max) (n,), whose difference is log softmax."""
    for part in _blocks(z):
        block = z[part].astype(np.float64)
        top = block.max(axis=1)
        _reject_rows(np.isnan(top), "logits", "contain NaN", part.start)
        _reject_rows(np.isinf(top), "logits", "have no softmax: the largest one is infinite", part.start)
        block -= top[:, None]
        yield part, block, np.log(np.exp(block).sum(axis=1))


def _unit_rows(x: npt.NDArray[Any]) -> Floats:
    """(n, D) float64 rows of length 1; a row of zeros stays zero."""
    x = x.astype(np.float64)
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norm > 0, norm, 1)


def _reject_rows(bad: Mask, what: str, fault: str, offset: int = 0) -> None:
    if bad.any():
        raise UserError(f"the {what} of row {offset + int(bad.argmax())} {fault}")


def _checked_gamma(gamma: float) -> float:
    if np.isnan(gamma):
        raise UserError("γ is NaN")
    return float(gamma)


def _checked_matrix(values: npt.ArrayLike, name: str, columns: str) -> npt.NDArray[Any]:
    """(N, C) float32 or float64 as it is; other real numbers as float64."""
    x = np.asarray(values)
    if x.ndim != 2 or x.shape[1] == 0:
        raise UserError(f"{name} must be a (samples, {columns}) array, got shape {x.shape}")
    if x.dtype.kind not in "fiu":
        raise UserError(f"{name} must be real numbers, got dtype {x.dtype}")
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def _checked_features(features: npt.ArrayLike) -> npt.NDArray[Any]:
    x = _checked_matrix(features, "features", "dimensions")
    _reject_rows(~np.isfinite(x).all(axis=1), "features", "are not finite")
    return x


def _checked_labels(labels: npt.ArrayLike, num_samples: int, num_classes: int) -> Ints:
    y = np.asarray(labels)
    if y.shape != (num_samples,):
        raise UserError(f"labels must have shape ({num_samples},), one for each sample, got shape {y.shape}")
    if y.dtype.kind not in "iu":
        raise UserError(f"labels must be integers, got dtype {y.dtype}")
    bad = np.flatnonzero((y < 0) | (y >= num_classes))
    if bad.size:
        why = f"There are {num_classes} classes, so labels go from 0 to {num_classes - 1}"
        raise UserError(f"label {y[bad[0]]} of row {bad[0]} is out of range", why=why)
    return y.astype(np.intp)


def _checked_fine_tuning(fine_tuning: npt.ArrayLike, num_classes: int) -> Mask:
    """(C,) True for the classes of S, from a boolean mask or from class indices."""
    given = np.asarray(fine_tuning)
    if given.dtype.kind == "b":
        if given.shape != (num_classes,):
            raise UserError(f"the fine-tuning mask has shape {given.shape}, the logits have {num_classes} classes")
        mask = given.copy()
    else:
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            raise UserError(
                "fine-tuning classes must be a list of class indices or a boolean mask, "
                f"got dtype {given.dtype} and shape {given.shape}"
            )
        index, count = np.unique(given.astype(np.int64), return_counts=True)
        bad = index[(index < 0) | (index >= num_classes)]
        if bad.size:
            why = f"The logits have {num_classes} classes: 0 to {num_classes - 1}"
            raise UserError(f"fine-tuning class {bad[0]} is out of range", why=why)
        if (count > 1).any():
            hint = "a mask must have boolean dtype"
            raise UserError(f"fine-tuning class {index[count > 1][0]} is listed more than once", hint=hint)
        mask = np.zeros(num_classes, bool)
        mask[index] = True
    if not mask.any():
        raise UserError("there is no fine-tuning class", why="The curve needs at least one")
    if mask.all():
        raise UserError("all classes are fine-tuning classes", why="The curve needs at least one absent class")
    return mask
