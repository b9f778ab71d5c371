"""Rows of length 1, from which cosines are computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LARGEST = 1 << 27  # values of features or scores that are made at once


def unit_rows(x: npt.NDArray[Any], *, of_zeros: float = 0.0) -> npt.NDArray[np.float64]:
    """Return (n, D) float64 rows of L2 norm 1.

    Parameters
    ----------
    x
        (n, D) rows.
    of_zeros
        What a row of zeros, which has no direction, becomes.
    """
    rows = x.astype(np.float64)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: npt.NDArray[np.float64] = np.divide(rows, norm, out=np.full_like(rows, of_zeros), where=norm > 0)
    return unit


def mean_of_units(x: npt.NDArray[Any], rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Return (D,) the mean of some rows of x at length 1; of many of them a part is in memory at a time."""
    at_once = max(1, LARGEST // x.shape[1])
    if len(rows) <= at_once:
        mean_of_all: npt.NDArray[np.float64] = unit_rows(x[rows]).mean(axis=0)
        return mean_of_all
    total = np.zeros(x.shape[1])
    for start in range(0, len(rows), at_once):
        total += unit_rows(x[rows[start : start + at_once]]).sum(axis=0)
    return total / len(rows)
