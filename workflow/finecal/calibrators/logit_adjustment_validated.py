"""Logit adjustment with the frequency of U that is best on labelled validation data of all classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from finecal.calibration.contract import Data, Fitted, Floats, Labelled, Mask, State, Unlabelled, log_prior
from finecal.config import Listed, Model, NonNegative, Positive
from finecal.metrics.softmax import row_blocks

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


class Calibrator:
    """As `logit_adjustment`, with the `smoothing` of highest acc_y_y on the validation data."""

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        validation: Labelled = data["validation"]
        shifts = [
            np.negative(self.options.tau * log_prior(train.labels, len(data.fine_tuning), smoothing))
            for smoothing in self.options.smoothings
        ]
        best = int(np.argmax(_right(validation, shifts)))
        return {"smoothing": float(self.options.smoothings[best]), "shift": shifts[best]}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        shifted: Floats = inputs.logits + state["shift"]
        return shifted


def _right(samples: Labelled, shifts: list[Floats]) -> npt.NDArray[np.int64]:
    """Return (K,) how many samples have their label as arg-max after each of K shifts (C,) of the logits."""
    right = np.zeros(len(shifts), np.int64)
    for rows in row_blocks(*samples.logits.shape):
        z, labels = samples.logits[rows].astype(np.float64), samples.labels[rows]
        moved = np.empty_like(z)
        for k, shift in enumerate(shifts):
            right[k] += np.count_nonzero(np.add(z, shift, out=moved).argmax(axis=1) == labels)
    return right
