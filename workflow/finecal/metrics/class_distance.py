"""Class-distance-normalised variance: how wide the classes are in the space of features, beside how far apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.metrics.validation import check_features, check_labels


def class_distance_normalised_variance(
    features: npt.NDArray[Any], labels: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_]
) -> dict[str, tuple[float, int]]:
    """Return `cdnv_u_u`, the class-distance-normalised variance of the absent classes, and its number of samples.

    It is the mean over pairs of classes of (v_i + v_j) / (2 ‖μ_i − μ_j‖²), with μ_c the mean of the class's features,
    not normalised, and v_c the mean squared distance to it (Galanti et al. 2021, arXiv 2112.15121). 0 is a point for
    each class; at 1 classes are as wide as they are far apart. Unlike an accuracy it has no ceiling: it falls as long
    as classes get tighter or further apart, and does not change when all features are scaled. Variances and means are
    those of the samples at hand, so with few samples per class it comes out too small; compare models on the same.

    Classes with fewer than two samples are left out. With fewer than two classes left, or two with the same mean, it is
    NaN, of 0 samples.

    Parameters
    ----------
    features
        (N, D) of test samples, finite.
    labels
        (N,) integer.
    fine_tuning
        (C,) the classes of S.

    Raises
    ------
    UserError
        If a feature is not finite or a label is out of range.

    >>> x = np.array([[0.0], [2.0], [10.0], [14.0]])  # means 1 and 12, variances 1 and 4
    >>> class_distance_normalised_variance(x, np.array([1, 1, 2, 2]), np.array([True, False, False]))["cdnv_u_u"]
    (0.02066115702479339, 4)
    """
    from scipy.spatial.distance import pdist

    x = check_features(features)
    y = check_labels(labels, len(x), len(fine_tuning))
    counts = np.bincount(y, minlength=len(fine_tuning))
    classes = np.flatnonzero(~fine_tuning & (counts > 1))
    none = {"cdnv_u_u": (float("nan"), 0)}
    if len(classes) < 2:
        return none
    means, variances = np.empty((len(classes), x.shape[1])), np.empty(len(classes))
    for position, c in enumerate(classes):
        own = x[y == c].astype(np.float64)
        means[position] = own.mean(axis=0)
        variances[position] = np.square(own - means[position]).sum(axis=1).mean()
    squared = pdist(means, "sqeuclidean")  # of the pairs (0, 1), (0, 2), …
    if not squared.all():
        return none
    first, second = np.triu_indices(len(classes), 1)
    value = float(((variances[first] + variances[second]) / (2 * squared)).mean())
    return {"cdnv_u_u": (value, int(counts[classes].sum()))}
