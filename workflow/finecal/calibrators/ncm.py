"""Nearest class mean: features against the mean of each class, those of U from labelled validation data."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from finecal.calibration.contract import Data, Fitted, Floats, Labelled, Mask, State, Unlabelled
from finecal.config import Model, Positive
from finecal.metrics.classification import class_means, ncm_scores

PAPER = "Rebuffi et al. 2017, iCaRL (arXiv 1611.07725)"
READS = frozenset({"train_fine_tuning", "validation"})
TAKES = frozenset({"features"})


class Options(Model):
    """The scale."""

    scale: Positive = Field(
        20.0, description="Scale s of the cosines: it decides NLL and ECE, and leaves the arg-max alone."
    )


class Calibrator:
    """s · cos(h, μ_c), with μ_c the mean of the L2-normalised features of c.

    The means of S are those of its training data, the means of U those of the validation data, which are fewer and,
    unlike those of S, not fitted by the model. A class without a sample has the mean 0 and the lowest score, −s.
    """

    by_row_but_rounding = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        validation: Labelled = data["validation"]
        of_s = class_means(train["features"], train.labels, len(data.fine_tuning))
        of_u = class_means(validation["features"], validation.labels, len(data.fine_tuning))
        return {"means": np.nan_to_num(np.where(data.fine_tuning[:, None], of_s, of_u), nan=0.0)}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        means = np.reshape(state["means"], (len(fine_tuning), -1))
        scores = ncm_scores(inputs["features"], means)
        scores[:, ~means.any(axis=1)] = -1.0
        scores *= self.options.scale
        return scores

    def deployed(self, state: State) -> dict[str, Any]:
        """See `finecal.export.standalone`."""
        return {"kind": "cosine", "rows": state["means"], "factor": self.options.scale, "empty": -1.0}
