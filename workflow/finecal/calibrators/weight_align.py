"""Weight aligning: the head's rows of S are scaled to the mean length of those of U."""

from __future__ import annotations

import numpy as np

from finecal.calibration.contract import Data, Fitted, Floats, Head, Mask, State, Unlabelled
from finecal.config import Model

PAPER = "Zhao et al. 2020, Maintaining discrimination and fairness in class incremental learning (arXiv 1911.07053)"
READS = frozenset({"weights"})
TAKES = frozenset({"weights"})
LINEAR_HEAD_ONLY = True  # a cosine head's logits do not depend on the lengths of its rows


class Options(Model):
    """No options."""


class Calibrator:
    """w_S · mean‖w_U‖ / mean‖w_S‖, the biases as they are.

    With z = w·h + b the new logit is (z − b) · scale + b, whatever the sign of z. For linear heads: the logits of a
    cosine head do not depend on the lengths of its rows.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        head: Head = data["weights"]
        norms = np.linalg.norm(head.weight, axis=1)
        of_s, of_u = norms[data.fine_tuning].mean(), norms[~data.fine_tuning].mean()
        return {"scale": float(of_u / of_s) if of_s > 0 else 1.0}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        bias = inputs["weights"].bias
        return np.where(fine_tuning, (inputs.logits - bias) * state["scale"] + bias, inputs.logits)
