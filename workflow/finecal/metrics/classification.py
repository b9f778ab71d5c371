"""Accuracies, the seen–unseen curve, nearest class mean, calibration error. Pure NumPy.

Shapes: logits (N, C) float32 or float64, labels (N,) integer; `fine_tuning` is a boolean mask (C,) or the
class indices of S. All accuracies are fractions in [0, 1], NaN where there is no sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError, counted
from finecal.metrics.curve import (
    CurvePoint,
    GroupMaxima,
    Score,
    SeenUnseenCurve,
    group_maxima,
    mean,
    seen_unseen_curve,
)
from finecal.metrics.unit_rows import mean_of_units, unit_rows
from finecal.metrics.validation import Floats, Ints, check_features, check_labels, check_matrix, reject_rows

BLOCK_BYTES = 1 << 18  # of the logits that are looked at together: they and what is made of them fit in an L2 cache

__all__ = [
    "CurvePoint",
    "GroupMaxima",
    "Score",
    "SeenUnseenCurve",
    "Softmax",
    "accuracies",
    "accuracy",
    "calibration_error",
    "class_means",
    "expected_calibration_error",
    "group_maxima",
    "harmonic_mean",
    "ncm_scores",
    "negative_log_likelihood",
    "seen_unseen_curve",
    "softmax",
]


class Softmax(NamedTuple):
    """Losses and confidences of N samples, which negative log-likelihood and calibration error are computed from.

    Attributes
    ----------
    losses
        (N,) −log softmax(z_i)[y_i], in nats.
    confidence
        (N,) the largest probability.
    right
        (N,) bool: the largest probability is that of the label.
    """

    losses: Floats
    confidence: Floats
    right: npt.NDArray[np.bool_]


def accuracies(
    logits: npt.ArrayLike, labels: npt.ArrayLike, fine_tuning: npt.ArrayLike, gamma: float = 0.0
) -> dict[str, Score]:
    """Return acc_a_b for a_b in y_y, s_y, u_y, s_s, u_u: samples whose label is in A, arg-max over B.

    Ties as in `GroupMaxima.predictions`: at γ = 0 the first class index, otherwise S before U.

    >>> z = np.array([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [3.0, 1.0, 2.0]])
    >>> scores = accuracies(z, np.array([0, 1, 2]), [0])
    >>> scores["acc_u_y"], scores["acc_u_u"]
    (Score(value=0.0, n=2), Score(value=1.0, n=2))
    """
    return group_maxima(logits, fine_tuning).accuracies(labels, gamma)


def accuracy(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return acc_y_y at γ = 0 alone: the part of the samples whose label is the arg-max; NaN without samples.

    >>> accuracy(np.array([[2.0, 1.0], [2.0, 2.0]]), np.array([0, 1]))  # of equal logits the first class wins
    0.5
    """
    z = check_matrix(logits, "logits", "classes")
    y = check_labels(labels, *z.shape)
    predicted = z.argmax(axis=1)
    reject_rows(np.isnan(z[np.arange(len(z)), predicted]), "logits", "contain NaN")
    return mean(predicted == y)


def class_means(features: npt.ArrayLike, labels: npt.ArrayLike, num_classes: int) -> Floats:
    """Return (C, D) means of the L2-normalised features (N, D) of each class; NaN for classes without a sample.

    >>> class_means(np.array([[3.0, 0.0], [0.0, 2.0]]), np.array([0, 0]), 2)
    array([[0.5, 0.5],
           [nan, nan]])
    """
    x = check_features(features)
    y = check_labels(labels, len(x), num_classes)
    means = np.full((num_classes, x.shape[1]), np.nan)
    order, counts = np.argsort(y, kind="stable"), np.bincount(y, minlength=num_classes)
    ends = np.cumsum(counts)
    for c in np.flatnonzero(counts):
        means[c] = mean_of_units(x, order[ends[c] - counts[c] : ends[c]])
    return means


def ncm_scores(features: npt.ArrayLike, means: npt.ArrayLike) -> Floats:
    """Return (N, C) cosines of features (N, D) with class means (C, D); −∞ for classes without a mean.

    The scores take the place of logits in `accuracies`. A vector of zeros has cosine 0 with everything.

    >>> ncm_scores(np.array([[0.0, 7.0]]), np.array([[0.0, 1.0], [-1.0, 0.0], [np.nan, np.nan]]))
    array([[  1.,   0., -inf]])
    """
    x, m = check_features(features), check_matrix(means, "class means", "dimensions")
    if x.shape[1] != m.shape[1]:
        raise UserError(f"the features have {counted(x.shape[1], 'dimension')}, the class means {m.shape[1]}")
    missing = np.isnan(m).any(axis=1)
    reject_rows(np.isinf(m).any(axis=1), "class means", "are not finite")
    units = unit_rows(np.where(missing[:, None], 0, m)).T  # (D, C)
    scores = np.empty((len(x), len(m)))
    for part in _blocks(x):
        np.matmul(unit_rows(x[part]), units, out=scores[part])
    scores[:, missing] = -np.inf
    return scores


def negative_log_likelihood(logits: npt.ArrayLike, labels: npt.ArrayLike, *, temperature: float = 1.0) -> float:
    """Return the mean of −log softmax(z_i / T)[y_i], in nats and float64; NaN without samples.

    >>> negative_log_likelihood(np.log([[1.0, 4.0, 3.0]]), np.array([1]))  # −log(4 / 8)
    0.6931471805599453
    """
    z = check_matrix(logits, "logits", "classes")
    y = check_labels(labels, *z.shape)
    losses = np.empty(len(z))
    for part, shifted, log_sum in _log_softmax(z, temperature=temperature):
        np.subtract(log_sum, shifted[np.arange(len(shifted)), y[part]], out=losses[part])
    return mean(losses)


def expected_calibration_error(logits: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15) -> float:
    """Return Σ_b (n_b / N) |accuracy_b − confidence_b| over bins (k/B, (k+1)/B] of the largest softmax value.

    Guo et al., ICML 2017 (arXiv 1706.04599). NaN without samples.

    >>> expected_calibration_error(np.zeros((2, 2)), np.array([0, 0]))  # half sure, always right
    0.5
    """
    return calibration_error(softmax(logits, labels), bins)


def softmax(
    logits: npt.ArrayLike, labels: npt.ArrayLike, *, first_row: int = 0, maxima: GroupMaxima | None = None
) -> Softmax:
    """Compute losses and confidences of (N, C) logits in one pass; `first_row` is the number of the first one.

    `maxima` are those of the same logits, where they are there already: the largest logit is not looked for again.

    Raises
    ------
    UserError
        If logits or labels have another shape or type, or a row has no softmax.
    """
    z = check_matrix(logits, "logits", "classes")
    y = check_labels(labels, *z.shape)
    if maxima is not None:
        return _softmax_with(maxima, z, y, first_row)
    found = Softmax(np.empty(len(z)), np.empty(len(z)), np.empty(len(z), bool))
    for part, shifted, log_sum in _log_softmax(z, first_row=first_row):
        found.losses[part] = log_sum - shifted[np.arange(len(shifted)), y[part]]
        np.exp(-log_sum, out=found.confidence[part])
        found.right[part] = shifted.argmax(axis=1) == y[part]
    return found


def _softmax_with(maxima: GroupMaxima, z: npt.NDArray[Any], y: Ints, first_row: int) -> Softmax:
    """Return what `softmax` finds, to the bit: only the exponentials are left to be computed block by block."""
    top = np.maximum(maxima.value_s, maxima.value_u)
    reject_rows(np.isinf(top), "logits", "have no softmax: the largest one is infinite", first_row)
    sums, powers = np.empty(len(z)), np.empty((min(len(z), _block_rows(z)), z.shape[1]))
    for part in _blocks(z):
        block = powers[: len(z[part])]
        np.subtract(z[part], top[part, None], out=block)
        np.exp(block, out=block).sum(axis=1, out=sums[part])
    log_sum = np.log(sums)
    own = z[np.arange(len(z)), y] - top
    return Softmax(log_sum - own, np.exp(-log_sum), maxima.predictions() == y)


def calibration_error(found: Softmax, bins: int = 15) -> float:
    """Return the expected calibration error; see `expected_calibration_error`."""
    if bins < 1:
        raise UserError(f"bins must be at least 1, got {bins}")
    n, inner_edges = len(found.right), np.arange(1, bins) / bins
    places = np.searchsorted(inner_edges, found.confidence, side="left")
    gaps = np.bincount(places, weights=found.right - found.confidence)
    return float(np.abs(gaps).sum() / n) if n else float("nan")


def harmonic_mean(a: float, b: float) -> float:
    """Return 2ab / (a + b) of two accuracies; 0 if both are 0.

    >>> harmonic_mean(1.0, 0.5), harmonic_mean(0.0, 0.0)
    (0.6666666666666666, 0.0)
    """
    return 2 * a * b / (a + b) if a + b != 0 else 0.0


def _blocks(x: npt.NDArray[Any]) -> Iterator[slice]:
    """Return slices of rows of about `BLOCK_BYTES` each in float64."""
    rows = _block_rows(x)
    return (slice(start, start + rows) for start in range(0, len(x), rows))


def _block_rows(x: npt.NDArray[Any]) -> int:
    rows: int = max(1, BLOCK_BYTES // (8 * x.shape[1]))
    return rows


def _log_softmax(
    z: npt.NDArray[Any], *, temperature: float = 1.0, first_row: int = 0
) -> Iterator[tuple[slice, Floats, Floats]]:
    """Yield for each block its rows, z − max (n, C) and log Σ exp(z − max) (n,) of z / T.

    Their difference is log softmax. The next block overwrites the first array.
    """
    blocks, powers = np.empty((2, min(len(z), _block_rows(z)), z.shape[1]))
    for part in _blocks(z):
        given = z[part]
        block = blocks[: len(given)]
        if temperature != 1:
            given = np.divide(given, temperature, out=block, dtype=np.float64)
        top = given.max(axis=1).astype(np.float64)
        reject_rows(np.isnan(top), "logits", "contain NaN", first_row + part.start)
        reject_rows(np.isinf(top), "logits", "have no softmax: the largest one is infinite", first_row + part.start)
        np.subtract(given, top[:, None], out=block)
        yield part, block, np.log(np.exp(block, out=powers[: len(block)]).sum(axis=1))
