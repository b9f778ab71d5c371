"""Calibrated stacking: one γ against S, chosen on labelled validation data of all classes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finecal.calibration.contract import AddGamma, Data, Fitted, Labelled, finite_gamma
from finecal.config import Model
from finecal.metrics.classification import seen_unseen_curve

PAPER = "Chao et al. 2016, An empirical study and analysis of generalized zero-shot learning (arXiv 1605.04253)"
READS = frozenset({"validation"})


class Options(Model):
    """What γ maximises."""

    criterion: Literal["all_classes", "balanced"] = Field(
        "all_classes",
        description="What is largest on the validation data: acc_y_y, or the mean of acc_s_y and acc_u_y.",
    )


class Calibrator(AddGamma):
    """z_S − γ with the best γ on the exact seen–unseen curve of the validation data.

    Written as z_U + γ, which has the same arg-max and the same softmax.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        validation: Labelled = data["validation"]
        curve = seen_unseen_curve(validation.logits, validation.labels, data.fine_tuning)
        best = curve.best() if self.options.criterion == "all_classes" else curve.balanced()
        return {"gamma": finite_gamma(curve, best)}
