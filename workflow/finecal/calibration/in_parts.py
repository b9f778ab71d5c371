"""Apply a calibrator to a few samples at a time, so that calibrated logits are scored while the cache has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.calibration.contract import Calibrator, Head, Mask, State, Unlabelled

PART_BYTES = 1 << 21  # of float64 logits: they and what `apply` makes on the way stay in the cache that cores share
# Of what is the same but for rounding. It is enough for a product of matrices to be as fast as a large one, and so
# little that memory which the system has cleared once is used again and again.
ROUNDED_PART_BYTES = 1 << 22


def apply_in_parts(
    method: Calibrator, inputs: Unlabelled, state: State, fine_tuning: Mask, largest: int | None = None
) -> Iterator[npt.NDArray[Any]]:
    """Yield calibrated logits (n, C) of consecutive samples; of all of them at once if a method does not say `by_row`.

    NumPy may add up a single row in another order than many, so no part is of a single row, unless there is only one.

    Parameters
    ----------
    inputs
        With logits of any precision; the method gets float64.
    largest
        Numbers in a part of whatever method, so that what is made of it fits in memory.
    """
    n, columns = inputs.logits.shape
    if getattr(method, "by_row", False):
        size = max(2, PART_BYTES // (8 * columns))
    elif getattr(method, "by_row_but_rounding", False):
        size = max(2, ROUNDED_PART_BYTES // (8 * columns))
    else:
        size = n if largest is None else max(2, largest // columns)
    ends = [*range(size, n - 1, size), n]
    for start, end in zip([0, *ends], ends, strict=False):
        yield method.apply(_rows(inputs, slice(start, end)), state, fine_tuning)


def _rows(samples: Unlabelled, rows: slice) -> Unlabelled:
    """Return some of the samples, with all that is known of them; their logits in float64, read-only."""
    more = {name: _part(known, rows) for name, known in samples.more.items()}
    logits = samples.logits[rows].astype(np.float64)
    logits.flags.writeable = False
    return replace(samples, logits=logits, more=more)


def _part(known: Any, rows: slice) -> Any:
    if isinstance(known, Head):
        return known
    return {key: x[rows] for key, x in known.items()} if isinstance(known, Mapping) else known[rows]
