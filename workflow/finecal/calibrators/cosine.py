"""The cosine between features and the head's rows: neither lengths nor biases count."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from finecal.calibration.contract import Data, Fitted, Floats, Mask, State, Unlabelled
from finecal.config import Model, Positive
from finecal.metrics.classification import ncm_scores

PAPER = "Hou et al. 2019, Learning a unified classifier incrementally via rebalancing (LUCIR), CVPR"
READS = frozenset({"weights"})
TAKES = frozenset({"features", "weights"})


class Options(Model):
    """The scale."""

    scale: Positive = Field(
        20.0, description="Scale s of the cosines: it decides NLL and ECE, and leaves the arg-max alone."
    )


class Calibrator:
    """s · cos(h, w_c). In the paper the head is trained so; here it is applied to a head trained as it was.

    A vector of zeros has cosine 0 with everything.
    """

    by_row_but_rounding = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        return {}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        scores = ncm_scores(inputs["features"], inputs["weights"].weight)
        scores *= self.options.scale
        return scores

    def deployed(self, state: State) -> dict[str, Any]:
        """See `finecal.export.standalone`."""
        return {"kind": "cosine", "rows": None, "factor": self.options.scale, "empty": 0.0}
