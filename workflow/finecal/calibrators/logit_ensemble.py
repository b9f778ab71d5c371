"""The weighted mean of the pretrained and the fine-tuned model's logits."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from finecal.calibration.contract import Data, Fitted, Floats, Mask, State, Unlabelled
from finecal.config import Model, Probability

PAPER = "Wortsman et al. 2022, Robust fine-tuning of zero-shot models (arXiv 2109.01903)"
READS = frozenset({"pretrained", "set_by_hand"})
TAKES = frozenset({"pretrained"})


class Options(Model):
    """The weight."""

    alpha: Probability = Field(
        0.5, description="Weight α of the fine-tuned model. It is set by hand: nothing is read to choose it."
    )


class Calibrator:
    """(1 − α) z⁰ + α z, the paper's baseline in the space of outputs."""

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        return {"alpha": self.options.alpha}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        mean: Floats = (1 - state["alpha"]) * inputs["pretrained"] + state["alpha"] * inputs.logits
        return mean

    def deployed(self, state: State) -> dict[str, Any]:
        """See `finecal.export.standalone`."""
        alpha = self.options.alpha
        return {"kind": "ensemble", "weight_pretrained": 1 - alpha, "weight_fine_tuned": alpha, "shift": [0.0]}
