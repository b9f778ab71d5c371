"""Class-update similarity: how alike fine-tuning moves the rows of the last layer of two classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.metrics.unit_rows import unit_rows


def update_similarity(tuned: npt.NDArray[Any], pretrained: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the cosine between the rows of ΔW = W − W⁰, as in figure 6 of the paper's analysis.

    Row and column of a class whose weights did not move are NaN: a zero vector has no direction.

    Parameters
    ----------
    tuned, pretrained
        (C, D) weights of the last layer, W and W⁰.

    Returns
    -------
    (C, C), symmetric, in [−1, 1].
    """
    update = tuned.astype(np.float64) - pretrained.astype(np.float64)
    unit = unit_rows(update, of_zeros=np.nan)
    cosine: npt.NDArray[np.float64] = np.clip(unit @ unit.T, -1, 1)
    return cosine


def mean_similarities(
    cosine: npt.NDArray[np.float64], fine_tuning: npt.NDArray[np.bool_]
) -> dict[str, tuple[float, int]]:
    """Average the cosines of pairs of classes: both of S (`fine_tuning`), both of U (`absent`), one each (`between`).

    Parameters
    ----------
    cosine
        (C, C), of `update_similarity`.
    fine_tuning
        (C,) bool.

    Returns
    -------
    Name → (mean, number of pairs); pairs with NaN are left out, and the mean of no pair is NaN.
    """
    first, second = np.triu_indices(len(cosine), k=1)
    values = cosine[first, second]
    in_s = fine_tuning[first].astype(int) + fine_tuning[second]
    found = {}
    for name, members in (("fine_tuning", 2), ("absent", 0), ("between", 1)):
        part = values[(in_s == members) & ~np.isnan(values)]
        found[name] = (float(part.mean()) if len(part) else float("nan"), len(part))
    return found
