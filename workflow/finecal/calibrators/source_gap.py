"""The growth of the gap between S and U since pretraining, on the training data of S."""

from __future__ import annotations

from finecal.calibration.contract import AddGamma, Data, Fitted, Labelled
from finecal.calibrators._pseudo import growth
from finecal.config import Model

READS = frozenset({"train_fine_tuning", "pretrained"})


class Options(Model):
    """No options."""


class Calibrator(AddGamma):
    """γ = gap(z) − gap(z⁰) with gap = mean over samples of [ mean of z over S − mean of z over U ].

    Where ALG asks for no gap at all, this asks for the gap that the pretrained model had on the same samples.
    New in this project.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        return {"gamma": growth(train, data.fine_tuning)}
