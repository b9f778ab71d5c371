"""An out-of-distribution gate: S decides where its energy is that of its training data, else U does."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from finecal.calibration.added import Added, Passed
from finecal.calibration.contract import Data, Fitted, Floats, Labelled, Mask, State, Unlabelled
from finecal.config import Fraction, Model
from finecal.metrics.classification import GroupMaxima, group_maxima
from finecal.metrics.softmax import log_sum_exp

PAPER = "Liu et al. 2020, Energy-based out-of-distribution detection (arXiv 2010.03759)"
READS = frozenset({"train_fine_tuning", "set_by_hand"})


class Options(Model):
    """The threshold."""

    kept: Fraction = Field(0.95, description="Part of the training samples of S that the gate leaves to S.")


class Calibrator:
    """arg-max over S if log Σ_S exp(z) ≥ t, else over U. The paper's energy score is used.

    t is the value that the part `kept` of the training samples of S reaches, a part set by hand. The model has fitted
    these samples: of others of S the gate keeps somewhat less. Returned are logits: those of the group that the gate
    does not choose are lowered by one constant per sample, if need be, so that their largest is log(kept / (1 − kept))
    below the largest of the group it chooses, the odds with which it is right on these samples.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        energy = log_sum_exp(train.logits, data.fine_tuning)[:, 0]
        return {"threshold": float(np.quantile(energy, 1 - self.options.kept, method="lower"))}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        z, maxima = inputs.logits, group_maxima(inputs.logits, fine_tuning)
        to_s = log_sum_exp(z, fine_tuning)[:, 0] >= state["threshold"]
        lowered = self._lowered(maxima, to_s)
        return np.where(to_s[:, None] == fine_tuning, z, z + lowered[:, None])

    def added(self, state: State, fine_tuning: Mask) -> Added:
        """See `finecal.calibration.added`."""

        def lowered(plain: Passed, group: bool) -> Floats:
            to_s = plain.log_sum_s >= state["threshold"]
            return np.where(to_s == group, 0.0, self._lowered(plain.maxima, to_s))

        return Added(to_s=lambda plain: lowered(plain, True), gamma=lambda plain: lowered(plain, False))

    def _lowered(self, maxima: GroupMaxima, to_s: Mask) -> Floats:
        """Return (N,) what is added to the group that is not chosen, from which samples S is chosen for (N,)."""
        largest, other = np.where(to_s, [maxima.value_s, maxima.value_u], [maxima.value_u, maxima.value_s])
        margin = abs(np.log(self.options.kept / (1 - self.options.kept)))
        margin = np.maximum(margin, 1e-6 * np.abs(other))  # next to a large logit a small one is lost in rounding
        lowered: Floats = np.minimum(largest - other - margin, 0)
        return lowered

    def deployed(self, state: State) -> dict[str, Any]:
        """See `finecal.export.standalone`."""
        odds = self.options.kept / (1 - self.options.kept)
        return {"kind": "ood_gate", "threshold": state["threshold"], "margin": float(abs(np.log(odds)))}
