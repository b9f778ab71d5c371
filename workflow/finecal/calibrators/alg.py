"""ALG, the average logit gap: γ closes the mean gap between S and U on the training data of S."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from finecal.calibration.contract import AddGamma, Data, Fitted, Labelled
from finecal.config import Model

PAPER = "Mai et al. 2024, Fine-tuning is fine, if calibrated (arXiv 2409.16223), section 5"
READS = frozenset({"train_fine_tuning"})


class Options(Model):
    """Which logits of S the mean is of."""

    own_label: bool = Field(
        False,
        description="Leave the sample's own label in the mean over S, as some implementations do: γ is larger then.",
        json_schema_extra={"neutral": False},
    )


class Calibrator(AddGamma):
    """γ = mean over samples of [ mean of z over S without the sample's own label − mean of z over U ].

    With `own_label: true` the label is not left out.

    With a single fine-tuning class S without the label is empty: its gap is then that of the label itself, which is
    the only logit of S there is.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        z = train.logits.astype(np.float64)
        of_s, of_u = z[:, data.fine_tuning], z[:, ~data.fine_tuning]
        has_own = data.fine_tuning[train.labels]
        own = np.where(has_own, z[np.arange(len(z)), train.labels], 0.0)
        if self.options.own_label:
            return {"gamma": float((of_s.mean(axis=1) - of_u.mean(axis=1)).mean())}
        others = of_s.shape[1] - has_own
        mean_s = np.where(others > 0, (of_s.sum(axis=1) - own) / np.maximum(others, 1), own)
        return {"gamma": float((mean_s - of_u.mean(axis=1)).mean())}
