"""PCV with the rule of the published code: most right of all, U′ no worse than the pretrained model."""

from __future__ import annotations

import numpy as np

from finecal.calibration.contract import AddGamma, Data, Fitted, PseudoFold, finite_gamma
from finecal.config import Model
from finecal.metrics.classification import accuracies, seen_unseen_curve

PAPER = (
    "Code of Mai et al. 2024, Fine-tuning is fine, if calibrated (arXiv 2409.16223); the paper's rule is that of `pcv`"
)
READS = frozenset({"train_fine_tuning", "pseudo_splits", "pretrained"})


class Options(Model):
    """No options: the folds belong to the study's `pseudo_splits`."""


class Calibrator(AddGamma):
    """γ = mean over K pseudo-splits of the γ with the highest acc_{S/S} on validation samples, on one condition.

    acc_{U′/S} must not be below that of the pretrained model on the same samples. Where no γ keeps the condition, those
    with the highest acc_{U′/S} are chosen from. Of equal ones that of the smallest |γ| is taken.

    The published code does so with the true absent classes in place of U′, on data that no method may have.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        folds: list[PseudoFold] = data["pseudo_splits"]
        return {"gamma": float(np.mean([_gamma(fold) for fold in folds]))}


def _gamma(fold: PseudoFold) -> float:
    curve = seen_unseen_curve(fold.logits, fold.labels, fold.fine_tuning)
    before = accuracies(fold["pretrained"], fold.labels, fold.fine_tuning)["acc_u_y"]
    needed = min(round(before.value * before.n) if before.n else 0, int(curve.hits_u.max()))
    right = np.where(curve.hits_u >= needed, curve.hits_s + curve.hits_u, -1)
    ties = np.flatnonzero(right == right.max())
    return finite_gamma(curve, int(ties[np.argmin(np.abs(curve.gamma[ties]))]))
