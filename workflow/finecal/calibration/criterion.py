"""What the best γ, or another parameter, is best by: one of several accuracies of labelled samples.

`all_classes` is acc_y_y, `balanced` the mean and `harmonic_mean` the harmonic mean of acc_s_y and acc_u_y, all of them
averaged per sample; with `macro_` in front the same accuracies averaged per class (`finecal.metrics.per_class`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from finecal.calibration.contract import Labelled, finite_gamma
from finecal.errors import UserError, counted
from finecal.metrics import per_class
from finecal.metrics.classification import GroupMaxima, SeenUnseenCurve, accuracy, group_maxima
from finecal.metrics.softmax import row_blocks
from finecal.metrics.validation import Floats

Criterion = Literal[
    "all_classes", "balanced", "harmonic_mean", "macro_all_classes", "macro_balanced", "macro_harmonic_mean"
]
MEANING = (
    "What is largest: acc_y_y, or the mean or the harmonic mean of acc_s_y and acc_u_y; with `macro_` in front, "
    "with accuracies averaged per class instead of per sample."
)


def best_gamma(logits: npt.ArrayLike, labels: npt.ArrayLike, fine_tuning: npt.ArrayLike, criterion: Criterion) -> float:
    """Return the finite γ that is best for (N, C) logits and their (N,) labels; among equals the smallest |γ|.

    Raises
    ------
    UserError
        If the criterion needs samples of S and of U and there are none, or the arrays do not fit together.
    """
    maxima = group_maxima(logits, fine_tuning)
    curve = maxima.curve(labels)
    return finite_gamma(curve, best_vertex(maxima, labels, curve, criterion))


def best_vertex(maxima: GroupMaxima, labels: npt.ArrayLike, curve: SeenUnseenCurve, criterion: Criterion) -> int:
    """Return the number of the best vertex of a curve, which is `maxima.curve(labels)`."""
    if criterion == "all_classes":
        return curve.best()
    if criterion == "balanced" or not (curve.n_s and curve.n_u):
        return curve.balanced()  # which explains why it needs samples of both groups
    of: Any = per_class.curve_of(maxima, labels, curve=curve) if criterion.startswith(per_class.MACRO) else curve
    scores = np.round(value(criterion, of.acc_s_y, of.acc_u_y, of.acc_y_y), per_class.DECIMALS)
    ties = np.flatnonzero(scores == scores.max())
    return int(ties[np.argmin(np.abs(curve.gamma[ties]))])


def score(logits: npt.ArrayLike, labels: npt.ArrayLike, fine_tuning: npt.ArrayLike, criterion: Criterion) -> float:
    """Return the criterion's value for (N, C) logits as they are; higher is better.

    Raises
    ------
    UserError
        If the criterion needs samples of S and of U and there are none.
    """
    if criterion == "all_classes":
        return accuracy(logits, labels)
    maxima = group_maxima(logits, fine_tuning)
    found = per_class.accuracies(maxima, labels) if criterion.startswith(per_class.MACRO) else maxima.accuracies(labels)
    s, u, y = (found[name] for name in ("acc_s_y", "acc_u_y", "acc_y_y"))
    if not criterion.endswith("all_classes") and not (s.n and u.n):
        raise UserError(
            f"{criterion} of {counted(s.n, 'sample')} of fine-tuning classes and {u.n} of absent classes is not known",
            why="Both accuracies need at least one sample",
        )
    return float(value(criterion, *(np.array([one.value]) for one in (s, u, y)))[0])


def best_change(samples: Labelled, changes: Sequence[Callable[[Floats], Floats]]) -> int:
    """Return the number of the change of logits, each row by itself, after which most samples are right: the first one.

    Each block of samples is changed in all ways while the cache has it.
    """
    right = np.zeros(len(changes), np.int64)
    for rows in row_blocks(*samples.logits.shape):
        z, labels = samples.logits[rows].astype(np.float64), samples.labels[rows]
        right += [np.count_nonzero(change(z).argmax(axis=1) == labels) for change in changes]
    return int(np.argmax(right))


def value(criterion: Criterion, acc_s_y: Floats, acc_u_y: Floats, acc_y_y: Floats) -> Floats:
    """Return the (K,) values of a criterion from three accuracies (K,), which are averaged as it says.

    >>> value("macro_harmonic_mean", np.array([1.0, 0.0]), np.array([0.5, 0.0]), np.array([0.75, 0.0]))
    array([0.66666667, 0.        ])
    """
    if criterion.endswith("all_classes"):
        return acc_y_y
    total: Floats = acc_s_y + acc_u_y
    if criterion.endswith("balanced"):
        return total / 2
    return np.divide(2 * acc_s_y * acc_u_y, total, out=np.zeros_like(total), where=total != 0)
