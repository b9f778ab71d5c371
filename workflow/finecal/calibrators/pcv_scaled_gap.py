"""PCV's γ, scaled by how much larger the gap is in the run than in its pseudo-splits; reads what PCV reads."""

from __future__ import annotations

import numpy as np

from finecal.calibration.contract import AddGamma, Data, Fitted, Labelled, PseudoFold
from finecal.calibrators._pseudo import balancing_gammas, gap, scaled, seen_part
from finecal.config import Model

READS = frozenset({"train_fine_tuning", "pseudo_splits"})


class Options(Model):
    """No options: the folds belong to the study's `pseudo_splits`."""


class Calibrator(AddGamma):
    """γ = gap · Σ_k γ′_k / Σ_k gap′_k over the pseudo-splits k: `pcv_scaled` without the pretrained model.

    gap is the mean over the training samples of S of [ mean of z over S − mean of z over U ]; gap′_k is the same of a
    pseudo-split, on its validation samples of S′ and with the classes S′ and U′. γ′_k is PCV's.

    Where Σ gap′_k is not positive, or less than a third of Σ γ′_k, nothing can be scaled: γ is then PCV's. New in this
    project.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        folds: list[PseudoFold] = data["pseudo_splits"]
        gammas = balancing_gammas(folds)
        measured = np.array([gap(seen_part(fold).logits, fold.fine_tuning) for fold in folds])
        gamma = scaled(gammas, measured, gap(train.logits, data.fine_tuning))
        return {"gamma": float(gammas.mean()) if gamma is None else gamma}
