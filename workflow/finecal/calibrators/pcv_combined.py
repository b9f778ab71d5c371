"""The mean of scaled PCV and of PCV over all classes: two γ from the same pseudo-splits that err differently."""

from __future__ import annotations

from finecal.calibration.contract import AddGamma, Data, Fitted
from finecal.calibrators._pseudo import balancing_gammas, combined_gamma
from finecal.config import Model

READS = frozenset({"train_fine_tuning", "pretrained", "pseudo_splits"})


class Options(Model):
    """No options: the folds belong to the study's `pseudo_splits`."""


class Calibrator(AddGamma):
    """γ = (γ of `pcv_scaled` + γ of `pcv_all_classes`) / 2.

    The first corrects PCV for how much the logits have grown, the second for how many classes compete. New in this
    project.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        return {"gamma": combined_gamma(data, balancing_gammas(data["pseudo_splits"]))}
