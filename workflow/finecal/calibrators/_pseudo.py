"""What the calibrators that scale PCV's γ share: gaps between groups of classes, and what a pseudo-split says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.calibration.contract import Data, Floats, Labelled, Mask, PseudoFold, finite_gamma
from finecal.metrics.classification import SeenUnseenCurve, seen_unseen_curve

# Where scaling helps, γ′ is 0.7 to 2.7 times the growth′ (`benchmarks/gamma.py`); beyond, growth′ was near zero.
LARGEST_RATIO = 3.0


def gap(logits: npt.NDArray[Any], fine_tuning: Mask) -> float:
    """Return the mean over samples of [ mean of z over S − mean of z over U ], in float64.

    Parameters
    ----------
    logits
        (N, C), N ≥ 1.
    fine_tuning
        (C,) bool, the classes of S; there is at least one of S and of U.
    """
    z = logits.astype(np.float64)
    return float((z[:, fine_tuning].mean(axis=1) - z[:, ~fine_tuning].mean(axis=1)).mean())


def growth(samples: Labelled, fine_tuning: Mask) -> float:
    """Return by how much the gap of some samples has grown since pretraining: gap(z) − gap(z⁰)."""
    return gap(samples.logits, fine_tuning) - gap(samples["pretrained"], fine_tuning)


def seen_part(fold: PseudoFold) -> Labelled:
    """Return the validation samples of S′, which are to the pseudo-split's model what samples of S are to the run's."""
    rows = fold.fine_tuning[fold.labels]
    return Labelled(fold.logits[rows], fold.labels[rows], more={key: value[rows] for key, value in fold.more.items()})


def balancing_gammas(folds: Sequence[PseudoFold]) -> Floats:
    """Return (K,) PCV's γ′ of each pseudo-split: (acc_{S′/S} + acc_{U′/S}) / 2 is largest on its validation samples."""
    curves = [seen_unseen_curve(fold.logits, fold.labels, fold.fine_tuning) for fold in folds]
    return np.array([finite_gamma(curve, curve.balanced()) for curve in curves])


def scaled(gammas: Floats, measured: Floats, ours: float) -> float | None:
    """Return ours · Σ_k γ′_k / Σ_k m_k for what was measured in each pseudo-split and in the run itself.

    None where that is no estimate: Σ_k m_k is not positive, or |Σ_k γ′_k| is more than `LARGEST_RATIO` times as large,
    so that what was measured explains little of γ′ and the ratio is mostly error.
    """
    total, needed = float(measured.sum()), float(gammas.sum())
    if not total > 0 or abs(needed) > LARGEST_RATIO * total:
        return None
    return ours * (needed / total)


def scaled_gamma(data: Data, gammas: Floats) -> float:
    """Return the γ of `pcv_scaled` from the (K,) γ′ of its pseudo-splits: growth · Σ_k γ′_k / Σ_k growth′_k."""
    grown = growth(data["train_fine_tuning"], data.fine_tuning)
    folds: list[PseudoFold] = data["pseudo_splits"]
    gamma = scaled(gammas, np.array([growth(seen_part(fold), fold.fine_tuning) for fold in folds]), grown)
    return float(gammas.mean() / 2 + grown / 2) if gamma is None else gamma


def combined_gamma(data: Data, gammas: Floats) -> float:
    """Return the γ of `pcv_combined` from PCV's (K,) γ′: the mean of those of `pcv_scaled` and `pcv_all_classes`."""
    return scaled_gamma(data, gammas) / 2 + all_classes_gamma(data["pseudo_splits"], data.fine_tuning) / 2


def all_classes_gamma(folds: Sequence[PseudoFold], fine_tuning: Mask) -> float:
    """Return the γ of `pcv_all_classes`, S as a (C,) mask: the mean over pseudo-splits of their averaged γ′."""
    wide = [over_all_classes(fold, fine_tuning) for fold in folds]
    return float(np.mean([averaged_gamma(seen_unseen_curve(z, labels, s_prime)) for z, labels, s_prime in wide]))


def over_all_classes(fold: PseudoFold, fine_tuning: Mask) -> tuple[Floats, npt.NDArray[np.intp], Mask]:
    """Return logits (N, C) float64, labels (N,) and S′ as a mask (C,) of a pseudo-split among all classes of Y.

    Raises
    ------
    ValueError
        If the pseudo-split was made without them.
    """
    if fold.all_logits is None:
        raise ValueError("a pseudo-split without logits of all classes")
    of_s = np.flatnonzero(fine_tuning)
    s_prime = np.zeros(len(fine_tuning), dtype=bool)
    s_prime[of_s[fold.fine_tuning]] = True
    return fold.all_logits.astype(np.float64), of_s[fold.labels], s_prime


def averaged_gamma(curve: SeenUnseenCurve) -> float:
    """Return the mean of all γ between the first and the last threshold, weighted by e^(−points lost).

    Points are those of (acc_s_y + acc_u_y) / 2 that a γ loses against the best one. On few samples many γ far from each
    other are nearly equally good, and which of them is the best is chance; their mean is not.
    """
    balance = 50 * (curve.acc_s_y + curve.acc_u_y)[1:-1]  # (K − 1,) in points, between neighbouring thresholds
    low, high = curve.threshold[:-1], curve.threshold[1:]
    widest = float(np.max(high - low, initial=0.0))
    if not widest > 0 or not np.isfinite(widest):
        return finite_gamma(curve, curve.balanced())
    weights = (high - low) / widest * np.exp(balance - balance.max())
    return float(np.average(low / 2 + high / 2, weights=weights))
