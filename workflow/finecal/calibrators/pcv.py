"""PCV, pseudo cross-validation: the mean of the γ that balance pseudo-splits of S."""

from __future__ import annotations

import numpy as np

from finecal.calibration.contract import AddGamma, Data, Fitted, PseudoFold, finite_gamma
from finecal.config import Model
from finecal.metrics.classification import seen_unseen_curve

PAPER = "Mai et al. 2024, Fine-tuning is fine, if calibrated (arXiv 2409.16223), section 5"
READS = frozenset({"train_fine_tuning", "pseudo_splits"})


class Options(Model):
    """No options: the folds belong to the study's `pseudo_splits`."""


class Calibrator(AddGamma):
    """γ = mean over K pseudo-splits of the γ with the highest (acc_{S′/S} + acc_{U′/S}) / 2 on validation samples.

    In each pseudo-split the pretrained model was fine-tuned with the same recipe on a part S′ of S; U′ is the
    rest of S.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        folds: list[PseudoFold] = data["pseudo_splits"]
        curves = [seen_unseen_curve(fold.logits, fold.labels, fold.fine_tuning) for fold in folds]
        return {"gamma": float(np.mean([finite_gamma(curve, curve.balanced()) for curve in curves]))}
