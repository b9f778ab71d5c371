"""Logarithms of sums of exponentials, without overflow and without losing digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def log_sum_exp(logits: npt.NDArray[Any]) -> Floats:
    """Return (N, 1) float64 log Σ_c exp(z_c) of (N, C), without overflow."""
    z = logits.astype(np.float64)
    top: Floats = z.max(axis=1, keepdims=True)
    total: Floats = top + np.log(np.exp(z - top).sum(axis=1, keepdims=True))
    return total


def log_softmax(logits: npt.NDArray[Any]) -> Floats:
    """Return (N, C) float64 log-probabilities."""
    # Not z − log_sum_exp(z): next to a large logit that would lose the digits of the small ones.
    z = logits.astype(np.float64)
    shifted: Floats = z - z.max(axis=1, keepdims=True)
    logs: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs
