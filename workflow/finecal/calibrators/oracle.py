"""γ*, which maximises acc_y_y on the test set: an upper bound, never a method."""

from __future__ import annotations

from finecal.calibration.contract import AddGamma, Data, Fitted, Labelled, finite_gamma
from finecal.config import Model
from finecal.errors import UserError
from finecal.metrics.classification import seen_unseen_curve

PAPER = "Chao et al. 2016 (arXiv 1605.04253); Mai et al. 2024, Fine-tuning is fine, if calibrated (arXiv 2409.16223)"
READS = frozenset({"test"})


class Options(Model):
    """No options."""


class Calibrator(AddGamma):
    """The best vertex of the exact seen–unseen curve of the test set."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        test: Labelled = data["test"]
        curve = seen_unseen_curve(test.logits, test.labels, data.fine_tuning)
        if not curve.n_u:
            raise UserError("γ* needs test samples of absent classes, there are none", where="calibrators")
        return {"gamma": finite_gamma(curve, curve.best())}
