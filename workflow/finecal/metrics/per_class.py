"""The same accuracies averaged per class: every class with samples counts alike, however many samples it has.

The paper averages per sample, as `finecal.metrics.curve` does. The literature on generalised zero-shot learning
averages per class on both axes of the curve (Xian et al. 2018, arXiv 1707.00600), and WILDS reports macro recall and
macro F1 of iWildCam (Koh et al. 2021, arXiv 2012.07421). Recall of a class: the part of its samples that are right. A
class without samples has no recall and is left out of every mean; predictions of it only count as wrong.

Sums are of fractions, so results are rounded to `DECIMALS`: the order of a sum does not make equal values different.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.metrics.classification import GroupMaxima, Score, SeenUnseenCurve, group_maxima, harmonic_mean
from finecal.metrics.curve import CurvePoint, mean
from finecal.metrics.validation import Floats, Ints, check_gamma, check_labels

MACRO = "macro_"
DECIMALS = 12


@dataclass(frozen=True, eq=False)
class PerClassCurve:
    """The seen–unseen curve with both accuracies averaged per class, at the vertices of the curve per sample."""

    curve: SeenUnseenCurve  # which has γ and the thresholds of the K + 1 vertices
    acc_s_y: Floats  # (K+1,) mean recall of the classes of S, arg-max over all classes; NaN without samples of S
    acc_u_y: Floats  # (K+1,) the same of U
    acc_y_y: Floats  # (K+1,) mean recall of all classes
    classes_s: int  # classes of S that have samples
    classes_u: int

    @property
    def ausuc(self) -> float:
        """Σ_k (s_k − s_{k+1})(u_k + u_{k+1}) / 2: the area under acc_u_y over acc_s_y; NaN where one is not known."""
        steps = (self.acc_s_y[:-1] - self.acc_s_y[1:]) * (self.acc_u_y[:-1] + self.acc_u_y[1:])
        return _rounded(steps.sum() / 2) if self.classes_s and self.classes_u else float("nan")

    def at(self, gamma: float) -> CurvePoint:
        """Return the accuracies at any γ, as `SeenUnseenCurve.at`: a tie goes to S."""
        gamma = check_gamma(gamma)
        last = len(self.curve.threshold)
        k = last if gamma == np.inf else int(np.searchsorted(self.curve.threshold, gamma, side="left"))
        return CurvePoint(gamma, float(self.acc_s_y[k]), float(self.acc_u_y[k]), float(self.acc_y_y[k]))


def per_class_curve(logits: npt.ArrayLike, labels: npt.ArrayLike, fine_tuning: npt.ArrayLike) -> PerClassCurve:
    """Return the curve of (N, C) logits and (N,) labels averaged per class, in O(N·C + N log N).

    Raises
    ------
    UserError
        As `finecal.metrics.curve.seen_unseen_curve`.

    >>> z = np.array([[3.0, 0.0, 1.0]] * 4 + [[0.0, 2.0, 1.0]] * 9 + [[0.0, 2.0, 1.0]])
    >>> c = per_class_curve(z, np.repeat([0, 1, 2], [4, 9, 1]), [0])  # class 2 is never right
    >>> c.at(0.0).acc_u_y, c.curve.at(0.0).acc_u_y
    (0.5, 0.9)
    """
    return curve_of(group_maxima(logits, fine_tuning), labels)


def curve_of(maxima: GroupMaxima, labels: npt.ArrayLike, *, curve: SeenUnseenCurve | None = None) -> PerClassCurve:
    """Return the curve averaged per class from the maxima of N samples; see `per_class_curve`.

    Parameters
    ----------
    maxima
        Of the logits.
    labels
        (N,) integer.
    curve
        `maxima.curve(labels)`, where it is there already.
    """
    y = check_labels(labels, len(maxima.class_s), len(maxima.fine_tuning))
    curve = curve or maxima.curve(y)
    counts = np.bincount(y, minlength=len(maxima.fine_tuning))
    of_s = maxima.fine_tuning[y]
    own = np.where(of_s, maxima.class_s, maxima.class_u) == y
    order = maxima.order
    # (K+1,) how many samples have left S at each vertex; sorted on both sides, so found without jumping in memory
    left = np.append(0, np.searchsorted(maxima.difference[order], curve.threshold, side="right"))
    weights = np.where(own, 1 / np.maximum(counts, 1)[y], 0.0)[order]
    of_s_sorted = of_s[order]
    moved = [np.append(0.0, np.cumsum(weights * part))[left] for part in (of_s_sorted, ~of_s_sorted)]
    there = counts > 0
    classes_s, classes_u = int((there & maxima.fine_tuning).sum()), int((there & ~maxima.fine_tuning).sum())
    s, u = moved[0][-1] - moved[0], moved[1]  # (K+1,) sums of recalls
    acc_s_y, acc_u_y = _over(s, classes_s), _over(u, classes_u)
    return PerClassCurve(curve, acc_s_y, acc_u_y, _over(s + u, classes_s + classes_u), classes_s, classes_u)


def accuracies(maxima: GroupMaxima, labels: npt.ArrayLike, gamma: float = 0.0) -> dict[str, Score]:
    """Return acc_a_b for a_b in y_y, s_y, u_y, s_s, u_u, averaged per class, at γ; n counts samples.

    Ties as in `GroupMaxima.predictions`.
    """
    y = check_labels(labels, len(maxima.class_s), len(maxima.fine_tuning))
    of_s = maxima.fine_tuning[y]
    counts = np.bincount(y, minlength=len(maxima.fine_tuning))
    recall = _recall(y, maxima.predictions(gamma) == y, counts)
    alone = _recall(y, np.where(of_s, maxima.class_s, maxima.class_u) == y, counts)
    n_s, n = int(of_s.sum()), len(y)
    groups = {
        "acc_y_y": (recall, np.ones_like(maxima.fine_tuning), n),
        "acc_s_y": (recall, maxima.fine_tuning, n_s),
        "acc_u_y": (recall, ~maxima.fine_tuning, n - n_s),
        "acc_s_s": (alone, maxima.fine_tuning, n_s),
        "acc_u_u": (alone, ~maxima.fine_tuning, n - n_s),
    }
    return {name: Score(_rounded(mean(of[group & (counts > 0)])), n) for name, (of, group, n) in groups.items()}


def macro_f1(predicted: npt.ArrayLike, labels: npt.ArrayLike, num_classes: int) -> float:
    """Return the mean over the classes with samples of F1_c = 2 TP_c / (n_c + p_c); NaN without samples.

    TP_c are the samples of c that are predicted as c, n_c all samples of c, p_c all that are predicted as c, whatever
    class they are of. The mean is over the classes in the labels, as in WILDS; scikit-learn's default also averages
    over classes that are only predicted, each with F1 = 0.

    >>> macro_f1(np.array([0, 0, 1, 2]), np.array([0, 0, 0, 1]), 4)  # F1_0 = 2·2/(3 + 2), F1_1 = 0
    0.4
    """
    y = check_labels(labels, len(np.asarray(labels)), num_classes)
    p = check_labels(predicted, len(y), num_classes)
    counts, said, hits = (np.bincount(of, minlength=num_classes) for of in (y, p, y[p == y]))
    there = counts > 0
    return _rounded(mean(2 * hits[there] / (counts[there] + said[there])))


def macro_metrics(
    maxima: GroupMaxima, labels: npt.NDArray[Any], curve: SeenUnseenCurve
) -> dict[str, tuple[float, int]]:
    """Return every metric that is averaged per class: name → (value, number of samples).

    Parameters
    ----------
    maxima
        Of the logits of N samples.
    labels
        (N,) integer.
    curve
        `maxima.curve(labels)`.
    """
    scores = accuracies(maxima, labels)
    n = len(labels)
    found: dict[str, tuple[float, int]] = {MACRO + name: (one.value, one.n) for name, one in scores.items()}
    both = harmonic_mean(scores["acc_s_y"].value, scores["acc_u_y"].value)
    found[f"{MACRO}harmonic_mean"] = (_rounded(both), n)
    found[f"{MACRO}ausuc"] = (curve_of(maxima, labels, curve=curve).ausuc, n)
    found[f"{MACRO}f1"] = (macro_f1(maxima.predictions(), labels, len(maxima.fine_tuning)), n)
    return found


def _recall(y: Ints, right: npt.NDArray[np.bool_], counts: Ints) -> Floats:
    """Return (C,) recalls; 0 for a class without samples."""
    hits: Floats = np.bincount(y[right], minlength=len(counts)) / np.maximum(counts, 1)
    return hits


def _over(sums: Floats, classes: int) -> Floats:
    return np.round(sums / classes, DECIMALS) if classes else np.full(sums.shape, np.nan)


def _rounded(value: float) -> float:
    return float(np.round(value, DECIMALS))
