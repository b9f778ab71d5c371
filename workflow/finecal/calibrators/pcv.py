"""PCV, pseudo cross-validation: the mean of the γ that balance pseudo-splits of S."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from finecal.calibration.contract import AddGamma, Data, Fitted, PseudoFold
from finecal.calibration.criterion import MEANING, Criterion, best_gamma
from finecal.config import Model

PAPER = "Mai et al. 2024, Fine-tuning is fine, if calibrated (arXiv 2409.16223), section 5"
READS = frozenset({"train_fine_tuning", "pseudo_splits"})


class Options(Model):
    """What γ maximises in each fold; the folds belong to the study's `pseudo_splits`."""

    criterion: Criterion = Field(
        "balanced",
        description=f"{MEANING} On the validation samples of a fold, with S′ and U′ for S and U.",
        json_schema_extra={"neutral": "balanced"},
    )


class Calibrator(AddGamma):
    """γ = mean over K pseudo-splits of the γ with the highest (acc_{S′/S} + acc_{U′/S}) / 2 on validation samples.

    This is the criterion `balanced`, the paper's.
    In each pseudo-split the pretrained model was fine-tuned with the same recipe on a part S′ of S; U′ is the
    rest of S.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        folds: list[PseudoFold] = data["pseudo_splits"]
        best = [best_gamma(f.logits, f.labels, f.fine_tuning, self.options.criterion) for f in folds]
        return {"gamma": float(np.mean(best))}
