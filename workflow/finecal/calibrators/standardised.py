"""Each class's logit, standardised by what it is on training samples of other classes."""

from __future__ import annotations

import numpy as np

from finecal.calibration.contract import Data, Fitted, Floats, Labelled, Mask, State, Unlabelled
from finecal.config import Model

PAPER = "Jung et al. 2021, Standardized max logits (arXiv 2107.11264)"
READS = frozenset({"train_fine_tuning"})


class Options(Model):
    """No options."""


class Calibrator:
    """(z_c − m_c) / s_c with mean and standard deviation of z_c over the training samples of S with another label.

    A class that all samples have is standardised by these; one whose logit never varies is only centred. In the
    paper the samples are those predicted as c.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        z = train.logits.astype(np.float64)
        mean, spread = np.empty(z.shape[1]), np.empty(z.shape[1])
        for c, column in enumerate(z.T):
            others = column[train.labels != c]
            used = others if len(others) else column
            mean[c], spread[c] = used.mean(), used.std()
        # The standard deviation of equal numbers is not exactly 0 in floating point.
        varies = spread > 1e-12 * np.abs(z).max()
        return {"mean": mean, "spread": np.where(varies, spread, 1.0)}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        standardised: Floats = (inputs.logits - state["mean"]) / state["spread"]
        return standardised
