"""Calibrated stacking: one γ against S, chosen on labelled validation data of all classes."""

from __future__ import annotations

from pydantic import Field

from finecal.calibration.contract import AddGamma, Data, Fitted, Labelled
from finecal.calibration.criterion import MEANING, Criterion, best_gamma
from finecal.config import Model

PAPER = "Chao et al. 2016, An empirical study and analysis of generalized zero-shot learning (arXiv 1605.04253)"
READS = frozenset({"validation"})


class Options(Model):
    """What γ maximises."""

    criterion: Criterion = Field("all_classes", description=f"{MEANING} On the validation data.")


class Calibrator(AddGamma):
    """z_S − γ with the best γ on the exact seen–unseen curve of the validation data.

    Written as z_U + γ, which has the same arg-max and the same softmax.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        validation: Labelled = data["validation"]
        return {"gamma": best_gamma(validation.logits, validation.labels, data.fine_tuning, self.options.criterion)}
