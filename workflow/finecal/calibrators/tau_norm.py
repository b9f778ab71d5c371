"""τ-normalisation: the head's rows are divided by a power of their lengths."""

from __future__ import annotations

from pydantic import Field

from finecal.calibration.contract import Data, Fitted, Floats, Mask, State, Unlabelled, tau_normalised
from finecal.config import Model, NonNegative

PAPER = "Kang et al. 2020, Decoupling representation and classifier (arXiv 1910.09217)"
READS = frozenset({"weights", "set_by_hand"})
TAKES = frozenset({"weights"})
LINEAR_HEAD_ONLY = True  # a cosine head's logits do not depend on the lengths of its rows


class Options(Model):
    """The power."""

    tau: NonNegative = Field(1.0, description="Power τ: 0 changes nothing, 1 makes all rows equally long.")


class Calibrator:
    """w_c · (mean‖w‖ / ‖w_c‖)^τ, the biases as they are.

    In the paper the rows are w_c / ‖w_c‖^τ and the biases are left out. The mean length keeps the logits in proportion
    to the biases, and leaves the arg-max alone where these are zero. For linear heads, as `weight_align`. The paper
    chooses τ on validation data, as `tau_norm_validated` does; here it is set by hand.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        return {"tau": self.options.tau}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        return tau_normalised(inputs.logits, inputs["weights"], float(state["tau"]))
