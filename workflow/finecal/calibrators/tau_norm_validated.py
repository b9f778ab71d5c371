"""τ-normalisation with the τ that is best on labelled validation data of all classes."""

from __future__ import annotations

from functools import partial

import numpy as np
from pydantic import Field

from finecal.calibration.contract import (
    Data,
    Fitted,
    Floats,
    Head,
    Labelled,
    Mask,
    State,
    Unlabelled,
    tau_factors,
    tau_normalised,
    with_factors,
)
from finecal.calibration.criterion import MEANING, Criterion, best_change, score
from finecal.config import Listed, Model, NonNegative

PAPER = "Kang et al. 2020, Decoupling representation and classifier (arXiv 1910.09217)"
READS = frozenset({"weights", "validation"})
TAKES = frozenset({"weights"})
LINEAR_HEAD_ONLY = True  # a cosine head's logits do not depend on the lengths of its rows


class Options(Model):
    """The powers to choose from, and by what."""

    taus: Listed[NonNegative] = Field(
        tuple(k / 10 for k in range(21)), min_length=1, description="Powers τ; of equally good ones the first is taken."
    )
    criterion: Criterion = Field(
        "all_classes", description=f"{MEANING} On the validation data.", json_schema_extra={"neutral": "all_classes"}
    )


class Calibrator:
    """As `tau_norm`, with the τ of highest acc_y_y, or another criterion, on the validation data."""

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        validation: Labelled = data["validation"]
        head: Head = data["weights"]
        changes = [partial(with_factors, head=head, factors=tau_factors(head, tau)) for tau in self.options.taus]
        if self.options.criterion == "all_classes":
            best = best_change(validation, changes)
        else:
            z, labels = validation.logits.astype(np.float64), validation.labels
            best = int(
                np.argmax([score(change(z), labels, data.fine_tuning, self.options.criterion) for change in changes])
            )
        return {"tau": float(self.options.taus[best])}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        return tau_normalised(inputs.logits, inputs["weights"], float(state["tau"]))
