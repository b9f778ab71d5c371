"""The mean of PCV's γ and the source gap, which mostly lie on either side of the best γ."""

from __future__ import annotations

from finecal.calibration.contract import AddGamma, Data, Fitted
from finecal.calibrators._pseudo import balancing_gammas, growth
from finecal.config import Model

READS = frozenset({"train_fine_tuning", "pretrained", "pseudo_splits"})


class Options(Model):
    """No options: the folds belong to the study's `pseudo_splits`."""


class Calibrator(AddGamma):
    """γ = (γ of `pcv` + γ of `source_gap`) / 2. New in this project."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        pcv = balancing_gammas(data["pseudo_splits"]).mean()
        return {"gamma": float(pcv / 2 + growth(data["train_fine_tuning"], data.fine_tuning) / 2)}
