"""WiSE-FT: the logits of a model whose weights lie between the pretrained and the fine-tuned ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from finecal.calibration.contract import Data, Fitted, Floats, Mask, State, Unlabelled
from finecal.config import Model, Probability

PAPER = "Wortsman et al. 2022, Robust fine-tuning of zero-shot models (arXiv 2109.01903)"
READS = frozenset({"pretrained", "set_by_hand"})
TAKES = frozenset({"interpolated"})


class Options(Model):
    """The weight."""

    alpha: Probability = Field(
        0.5, description="Weight α of the fine-tuned model. It is set by hand: nothing is read to choose it."
    )


class Calibrator:
    """The logits of θ = (1 − α) θ⁰ + α θ.

    The running statistics of batch normalisation are interpolated like weights. The logits need one more
    extraction per run, with every α that the study's calibrators ask for.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        return {"alpha": self.options.alpha}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        logits: Floats = inputs["interpolated"][self.options.alpha].astype(np.float64)
        return logits

    def deployed(self, state: State) -> dict[str, Any]:
        """See `finecal.export.standalone`."""
        return {"kind": "interpolated", "alpha": self.options.alpha}
