"""The temperature with the smallest negative log-likelihood, for the calibrators that divide logits by one."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.calibration.least import Least, Look, least, some_of
from finecal.metrics.softmax import scaled_moments


def best_temperature(logits: npt.NDArray[Any], labels: npt.NDArray[Any], smallest: float, largest: float) -> Least:
    """Return log T with the smallest mean of −log softmax(z / T)[label] of (N, C) logits, N ≥ 1, in a range of T."""
    ends = float(np.log(smallest)), float(np.log(largest))
    some, part = some_of(len(labels))
    return least(partial(_look, logits, labels), ends, partial(_look, logits[some], labels[some]), part)


def _look(logits: npt.NDArray[Any], labels: npt.NDArray[Any], log_t: float) -> Look:
    """Return the loss at a temperature, minus its derivative by 1 / T, and this one's derivative by log T.

    The loss is convex in 1 / T, so its derivative by 1 / T rises with 1 / T and falls with T.
    """
    scale = float(np.exp(-log_t))
    log_sum, mean, variance = scaled_moments(logits, scale)
    own = logits[np.arange(len(labels)), labels].astype(np.float64)
    return Look(float((log_sum - scale * own).mean()), float((own - mean).mean()), float(scale * variance.mean()))
