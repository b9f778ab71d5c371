"""Logit adjustment with the frequency of U that is best on labelled validation data of all classes."""

from __future__ import annotations

from functools import partial

import numpy as np
from pydantic import Field

from finecal.calibration.added import AddShift
from finecal.calibration.contract import Data, Fitted, Labelled, log_prior
from finecal.calibration.criterion import best_change
from finecal.config import Listed, Model, NonNegative, Positive

PAPER = "Menon et al. 2021, Long-tail learning via logit adjustment (arXiv 2007.07314)"
READS = frozenset({"train_fine_tuning", "validation"})


class Options(Model):
    """How much of the frequencies is taken off, and the smoothings to choose from."""

    tau: NonNegative = Field(1.0, description="Weight τ of the frequencies; 1 is Bayes' rule.")
    smoothings: Listed[Positive] = Field(
        tuple(float(f"{10 ** (k / 4):.3g}") for k in range(-16, 17)),
        min_length=1,
        description="Samples added to each class's count; of equally good numbers the first is taken.",
    )


class Calibrator(AddShift):
    """As `logit_adjustment`, with the `smoothing` of highest acc_y_y on the validation data."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        validation: Labelled = data["validation"]
        shifts = [
            np.negative(self.options.tau * log_prior(train.labels, len(data.fine_tuning), smoothing))
            for smoothing in self.options.smoothings
        ]
        best = best_change(validation, [partial(np.add, shift) for shift in shifts])
        return {"smoothing": float(self.options.smoothings[best]), "shift": shifts[best]}
