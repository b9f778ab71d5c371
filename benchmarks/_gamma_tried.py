"""Ways to choose γ without the absent classes that were tried for `gamma.py`, and are no calibrators of finecal.

Each takes the data (training samples of S with the pretrained model's logits, pseudo-splits) and the calibrators' γ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.calibration.contract import Data, Labelled, Mask, PseudoFold, finite_gamma
from finecal.calibrators._pseudo import (
    averaged_gamma,
    balancing_gammas,
    gap,
    growth,
    over_all_classes,
    scaled,
    seen_part,
)
from finecal.metrics.classification import seen_unseen_curve

Found = Mapping[str, float]


def largest(logits: npt.NDArray[Any], fine_tuning: Mask) -> float:
    """Return the mean of the largest logit of S minus the largest of U."""
    return float((logits[:, fine_tuning].max(axis=1) - logits[:, ~fine_tuning].max(axis=1)).mean())


def _ratio(data: Data, found: Found, measure: Callable[[Labelled, Mask], float]) -> float:
    """γ = measure · Σ γ′ / Σ measure′, as in `pcv_scaled`; the midpoint where that is no ratio."""
    folds: list[PseudoFold] = data["pseudo_splits"]
    measured = np.array([measure(seen_part(fold), fold.fine_tuning) for fold in folds])
    gamma = scaled(balancing_gammas(folds), measured, measure(data["train_fine_tuning"], data.fine_tuning))
    return found["midpoint"] if gamma is None else gamma


def by_largest(data: Data, found: Found) -> float:
    return _ratio(data, found, lambda samples, of_s: largest(samples.logits, of_s))


def by_growth_of_largest(data: Data, found: Found) -> float:
    return _ratio(
        data, found, lambda samples, of_s: largest(samples.logits, of_s) - largest(samples["pretrained"], of_s)
    )


def by_difference(data: Data, found: Found) -> float:
    """PCV's γ plus what the gap has grown more in the run than in its pseudo-splits."""
    measured = [growth(seen_part(fold), fold.fine_tuning) for fold in data["pseudo_splits"]]
    return found["pcv"] + found["source_gap"] - float(np.mean(measured))


def averaged(data: Data, found: Found) -> float:
    """`pcv_scaled` with averaged γ′, as `pcv_all_classes` has them."""
    folds: list[PseudoFold] = data["pseudo_splits"]
    curves = [seen_unseen_curve(fold.logits, fold.labels, fold.fine_tuning) for fold in folds]
    measured = np.array([growth(seen_part(fold), fold.fine_tuning) for fold in folds])
    gamma = scaled(np.array([averaged_gamma(curve) for curve in curves]), measured, found["source_gap"])
    return found["midpoint"] if gamma is None else gamma


def all_classes_best(data: Data, found: Found) -> float:
    """`pcv_all_classes` with the best γ′ of each pseudo-split in place of the average."""
    curves = [seen_unseen_curve(*over_all_classes(fold, data.fine_tuning)) for fold in data["pseudo_splits"]]
    return float(np.mean([finite_gamma(curve, curve.balanced()) for curve in curves]))


def all_classes_scaled(data: Data, found: Found) -> float:
    """`pcv_all_classes` scaled by gaps, those of the pseudo-splits taken over all classes too."""
    gaps = []
    for fold in data["pseudo_splits"]:
        logits, _, s_prime = over_all_classes(fold, data.fine_tuning)
        gaps.append(gap(logits[fold.fine_tuning[fold.labels]], s_prime))
    ours = gap(data["train_fine_tuning"].logits, data.fine_tuning)
    total = sum(gaps)
    return found["pcv_all_classes"] * ours * len(gaps) / total if total > 0 else found["pcv_all_classes"]


def by_classes(data: Data, found: Found) -> float:
    """`pcv_scaled` with acc_{S′} and acc_{U′} weighted by the numbers of classes of S and of U."""
    folds: list[PseudoFold] = data["pseudo_splits"]
    share = float(data.fine_tuning.mean())
    gammas = []
    for fold in folds:
        curve = seen_unseen_curve(fold.logits, fold.labels, fold.fine_tuning)
        gammas.append(finite_gamma(curve, int(np.argmax(share * curve.acc_s_y + (1 - share) * curve.acc_u_y))))
    measured = np.array([growth(seen_part(fold), fold.fine_tuning) for fold in folds])
    gamma = scaled(np.array(gammas), measured, found["source_gap"])
    return found["midpoint"] if gamma is None else gamma


def mean_with_gap(data: Data, found: Found) -> float:
    """Mean of `pcv_all_classes` and `pcv_scaled_gap`, which needs no pretrained model."""
    return (found["pcv_all_classes"] + found["pcv_scaled_gap"]) / 2


def mean_with_source_gap(data: Data, found: Found) -> float:
    """Mean of `pcv_all_classes` and the source gap."""
    return (found["pcv_all_classes"] + found["source_gap"]) / 2


def mean_of_three(data: Data, found: Found) -> float:
    """Mean of `pcv_all_classes`, `pcv_scaled` and the source gap."""
    return (found["pcv_all_classes"] + found["pcv_scaled"] + found["source_gap"]) / 3


def mean_of_four(data: Data, found: Found) -> float:
    """Mean of `pcv_all_classes`, both scaled ones and scaling by the largest logits."""
    return (found["pcv_all_classes"] + found["pcv_scaled"] + found["pcv_scaled_gap"] + by_largest(data, found)) / 4


TRIED: dict[str, Callable[[Data, Found], float]] = {
    method.__name__: method
    for method in (
        by_largest, by_growth_of_largest, by_difference, averaged, by_classes, all_classes_best, all_classes_scaled,
        mean_with_gap, mean_with_source_gap, mean_of_three, mean_of_four,
    )
}  # fmt: skip
