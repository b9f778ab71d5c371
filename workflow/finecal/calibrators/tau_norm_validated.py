"""τ-normalisation with the τ that is best on labelled validation data of all classes."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from finecal.calibration.contract import Data, Fitted, Floats, Head, Labelled, Mask, State, Unlabelled, tau_normalised
from finecal.config import Listed, Model, NonNegative
from finecal.metrics.classification import accuracies

PAPER = "Kang et al. 2020, Decoupling representation and classifier (arXiv 1910.09217)"
READS = frozenset({"weights", "validation"})
TAKES = frozenset({"weights"})
LINEAR_HEAD_ONLY = True  # a cosine head's logits do not depend on the lengths of its rows


class Options(Model):
    """The powers to choose from."""

    taus: Listed[NonNegative] = Field(
        tuple(k / 10 for k in range(21)), min_length=1, description="Powers τ; of equally good ones the first is taken."
    )


class Calibrator:
    """As `tau_norm`, with the τ of highest acc_y_y on the validation data."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        validation: Labelled = data["validation"]
        head: Head = data["weights"]
        z = validation.logits.astype(np.float64)
        scores = [
            accuracies(tau_normalised(z, head, tau), validation.labels, data.fine_tuning)["acc_y_y"].value
            for tau in self.options.taus
        ]
        return {"tau": float(self.options.taus[int(np.argmax(scores))])}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        return tau_normalised(inputs.logits, inputs["weights"], float(state["tau"]))
