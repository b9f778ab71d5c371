"""The largest logit of S and the largest of U in every row, in one pass that the memory can hardly give faster.

The arg-max of a row is the best class of one group. The minimum with a row of ±∞ hides this group, and the arg-max of
what is left is the best class of the other: min(z, +∞) = z and min(z, −∞) = −∞. For blocks in the cache this is faster
than gathering columns, and it is exact for infinite logits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from finecal.metrics.validation import Floats, Ints, Mask

# Of logits that are looked at together, and as many of what is left of them. Smaller blocks stay in a nearer cache, and
# cost more calls: 1.5 MiB was fastest at 1,000 classes, by 8 % against 256 KiB.
BLOCK_BYTES = 3 << 19
LINE = 64  # bytes of a line of the cache


class Best(NamedTuple):
    """The best class of a group in each of N rows.

    Attributes
    ----------
    value
        (N,) its logit; NaN for at least one group if the row has a NaN.
    number
        (N,) the class; the first one of equals, as np.argmax.
    """

    value: Floats
    number: Ints


def best_of_groups(z: npt.NDArray[Any], mask: Mask) -> tuple[Best, Best]:
    """Return the best class of S and the best class of U.

    Parameters
    ----------
    z
        (N, C) logits, float32 or float64.
    mask
        (C,) True for the classes of S; there is at least one of S and of U.
    """
    n, num_classes = z.shape
    # n // 8 keeps the block below an eighth of small logits, too.
    rows = max(1, min(n // 8, BLOCK_BYTES // (num_classes * z.itemsize)))
    hides = np.where(np.stack([~mask, mask]), -np.inf, np.inf).astype(z.dtype)  # (2, C): U is hidden, S is hidden
    shown, first = mask.astype(np.intp), num_classes * np.arange(rows)  # (rows,) where each row of a block begins
    block = _aligned(rows, num_classes, z.dtype)
    # First of the group that wins, then of the other one.
    classes, values = np.empty((2, n), np.intp), np.empty((2, n), z.dtype)
    for start in range(0, n, rows):
        here = slice(start, start + rows)
        part = np.ascontiguousarray(z[here])
        left, begin = block[: len(part)], first[: len(part)]
        winner = part.argmax(axis=1, out=classes[0, here])
        part.take(begin + winner, out=values[0, here], mode="clip")
        hides.take(shown.take(winner), axis=0, out=left, mode="clip")
        other = np.minimum(part, left, out=left).argmax(axis=1, out=classes[1, here])
        left.take(begin + other, out=values[1, here], mode="clip")
    s_wins = mask[classes[0]]
    # Where the whole group is −∞ the hidden classes tie with it; its first class wins.
    nothing = values[1] == -np.inf
    classes[1, nothing] = np.where(s_wins[nothing], mask.argmin(), mask.argmax())
    exact = values.astype(np.float64)
    of_s, of_u = (
        Best(np.where(wins, exact[0], exact[1]), np.where(wins, classes[0], classes[1])) for wins in (s_wins, ~s_wins)
    )
    return of_s, of_u


def _aligned(rows: int, columns: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return an empty (rows, columns) array that begins where a line of the cache does: 4 % of the pass."""
    raw = np.empty(rows * columns * dtype.itemsize + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : len(raw) - LINE + start].view(dtype).reshape(rows, columns)
