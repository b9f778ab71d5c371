"""How much each test sample contributes to the error of a metric that is averaged per class.

As `finecal.metrics.influences`, with the classes given and not drawn: what differs from one set of test samples to the
next is which samples of a class are in it, so contributions are centred within each class. A class with one test sample
contributes nothing, since one sample does not say how samples of the class differ: where such classes are many, the
intervals are too narrow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.metrics import influences
from finecal.metrics.classification import GroupMaxima
from finecal.metrics.per_class import MACRO, accuracies
from finecal.metrics.validation import Floats


def of_per_class(maxima: GroupMaxima, labels: npt.NDArray[Any]) -> dict[str, Floats]:
    """Return the (N,) contributions to every metric of `finecal.metrics.per_class.macro_metrics`, by name.

    Parameters
    ----------
    maxima
        Of the logits of N samples.
    labels
        (N,) integer.
    """
    of_s = maxima.fine_tuning[labels]
    counts = np.bincount(labels, minlength=len(maxima.fine_tuning))
    predicted = maxima.predictions()
    right, alone = predicted == labels, np.where(of_s, maxima.class_s, maxima.class_u) == labels
    weights = np.zeros(len(labels))  # with sum 1 over S and over U
    found: dict[str, Floats] = {}
    for short, group in (("s", of_s), ("u", ~of_s), ("y", np.ones_like(of_s))):
        own = _weights(labels, counts, group)
        found[f"acc_{short}_y"] = _of_recall(right, own, labels, counts)
        if short != "y":
            found[f"acc_{short}_{short}"] = _of_recall(alone, own, labels, counts)
            weights += own
    values = accuracies(maxima, labels)
    s, u = values["acc_s_y"].value, values["acc_u_y"].value
    found["harmonic_mean"] = influences.of_harmonic_mean(s, u, found["acc_s_y"], found["acc_u_y"])
    found["ausuc"] = influences.of_ausuc(maxima, labels, weights)
    found["f1"] = _of_f1(predicted, labels, counts)
    return {MACRO + name: contributions for name, contributions in found.items()}


def _weights(labels: npt.NDArray[Any], counts: npt.NDArray[np.int64], group: npt.NDArray[np.bool_]) -> Floats:
    """Return (N,) 1 / (number of classes in the group · samples of the own class); 0 outside the group."""
    classes = len(np.unique(labels[group]))
    return np.where(group, 1 / (max(classes, 1) * np.maximum(counts, 1)[labels]), 0.0)


def _of_recall(
    right: npt.NDArray[np.bool_], weights: Floats, labels: npt.NDArray[Any], counts: npt.NDArray[np.int64]
) -> Floats:
    """Return the (N,) contributions to the weighted mean of what is right, centred within each class."""
    recall = np.bincount(labels, weights=right, minlength=len(counts)) / np.maximum(counts, 1)
    contributions: Floats = weights * (right - recall[labels])
    return contributions


def _of_f1(predicted: npt.NDArray[Any], labels: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> Floats:
    """Return the (N,) contributions to the mean of F1_c = 2 TP_c / (n_c + p_c) over the classes with samples.

    A sample that is predicted as p moves F1_p by (2 [it is right] − F1_p) / (n_p + p_p) if class p has samples; centred
    within its own class, whose number of samples is given.
    """
    said, hits = (np.bincount(of, minlength=len(counts)) for of in (predicted, predicted[predicted == labels]))
    there, total = counts > 0, np.maximum(counts + said, 1)
    f1 = 2 * hits / total
    right = predicted == labels
    moved = np.where(right, 2 / total[predicted], 0.0) - np.where(
        there[predicted], f1[predicted] / total[predicted], 0.0
    )
    moved /= max(int(there.sum()), 1)
    centre = np.bincount(labels, weights=moved, minlength=len(counts)) / np.maximum(counts, 1)
    contributions: Floats = moved - centre[labels]
    return contributions
