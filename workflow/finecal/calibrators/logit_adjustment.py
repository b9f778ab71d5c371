"""Logit adjustment: the logarithm of the class frequencies trained on is taken off; that of U is set by hand."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from finecal.calibration.added import AddShift
from finecal.calibration.contract import Data, Fitted, Labelled, log_prior
from finecal.config import Model, NonNegative, Positive

PAPER = "Menon et al. 2021, Long-tail learning via logit adjustment (arXiv 2007.07314)"
READS = frozenset({"train_fine_tuning", "set_by_hand"})


class Options(Model):
    """The frequencies, and how much of them is taken off."""

    tau: NonNegative = Field(1.0, description="Weight τ of the frequencies; 1 is Bayes' rule.")
    smoothing: Positive = Field(
        1.0, description="Samples added to each class's count, so that the classes of U have a frequency."
    )


class Calibrator(AddShift):
    """z_c − τ log π_c with π_c = (n_c + smoothing) / (N + C · smoothing).

    In the paper all classes have samples. Here those of U have none, so `smoothing` alone says what they get: with
    equally many samples in each class of S it is γ = τ log(n_c / smoothing + 1), a γ set by hand.
    `logit_adjustment_validated` chooses it on validation data.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        prior = log_prior(train.labels, len(data.fine_tuning), self.options.smoothing)
        return {"shift": np.negative(self.options.tau * prior)}
