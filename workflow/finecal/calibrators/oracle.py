"""γ*, which maximises acc_y_y, or another criterion, on the test set: an upper bound, never a method."""

from __future__ import annotations

from pydantic import Field

from finecal.calibration.contract import AddGamma, Data, Fitted, Labelled
from finecal.calibration.criterion import MEANING, Criterion, best_gamma
from finecal.config import Model
from finecal.errors import UserError

PAPER = "Chao et al. 2016 (arXiv 1605.04253); Mai et al. 2024, Fine-tuning is fine, if calibrated (arXiv 2409.16223)"
READS = frozenset({"test"})


class Options(Model):
    """What γ* maximises."""

    criterion: Criterion = Field(
        "all_classes", description=f"{MEANING} On the test samples.", json_schema_extra={"neutral": "all_classes"}
    )


class Calibrator(AddGamma):
    """The best vertex of the exact seen–unseen curve of the test set."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        test: Labelled = data["test"]
        if data.fine_tuning[test.labels].all():
            raise UserError("γ* needs test samples of absent classes, there are none", where="calibrators")
        return {"gamma": best_gamma(test.logits, test.labels, data.fine_tuning, self.options.criterion)}
