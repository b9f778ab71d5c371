"""A softmax within S and another within U: what a logit is in its own group."""

from __future__ import annotations

from typing import Any

import numpy as np

from finecal.calibration.added import Added
from finecal.calibration.contract import Data, Fitted, Floats, Mask, State, Unlabelled
from finecal.config import Model
from finecal.metrics.softmax import log_softmax

PAPER = "Ahn et al. 2021, SS-IL (arXiv 2003.13947)"
READS: frozenset[str] = frozenset()


class Options(Model):
    """No options."""


class Calibrator:
    """z_c − log Σ exp(z) over c's group, S or U: the log-probability of c if the group were known.

    Both groups are thus held to be equally likely for every sample. After the separated softmax of
    SS-IL, which is a loss.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        return {}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        logs = np.empty(inputs.logits.shape)
        for group in (fine_tuning, ~fine_tuning):
            logs[:, group] = log_softmax(inputs.logits[:, group])
        return logs

    def added(self, state: State, fine_tuning: Mask) -> Added:
        """See `finecal.calibration.added`."""
        return Added(within_groups=True)

    def deployed(self, state: State) -> dict[str, Any]:
        """See `finecal.export.standalone`."""
        return {"kind": "group_log_softmax"}
