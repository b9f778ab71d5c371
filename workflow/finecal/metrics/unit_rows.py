"""Rows of length 1, from which cosines are computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


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
