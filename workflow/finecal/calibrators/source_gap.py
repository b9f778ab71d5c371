"""The growth of the gap between S and U since pretraining, on the training data of S."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.calibration.contract import AddGamma, Data, Fitted, Labelled
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
        return {"gamma": _gap(train.logits, data.fine_tuning) - _gap(train["pretrained"], data.fine_tuning)}


def _gap(logits: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_]) -> float:
    z = logits.astype(np.float64)
    return float((z[:, fine_tuning].mean(axis=1) - z[:, ~fine_tuning].mean(axis=1)).mean())
