"""Arrays that are too large for memory lie in a file without a name; pages of it are in memory while there is room.

Such an array is an ordinary one of NumPy, mapped from a file in the folder for temporary files ($TMPDIR). It is gone
with the last array that shows a part of it, however the process ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError

LARGE = 1 << 28  # bytes: larger arrays are mapped
PART = 1 << 25  # bytes that are copied at once


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array whose values are not set, as np.empty.

    Raises
    ------
    UserError
        If the disk has no room for it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= LARGE:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise UserError(
                f"there is no room for {size / 2**30:.1f} GiB of temporary data ({error.strerror})",
                where=tempfile.gettempdir(), hint="$TMPDIR names the folder for them",
            ) from error  # fmt: skip
        return np.asarray(np.memmap(file, dtype, "r+", shape=shape))


def take(values: npt.NDArray[Any], rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return some rows of an array, by a mask (N,) or their numbers; of a large one a run of rows is not copied."""
    count = int(np.count_nonzero(rows)) if rows.dtype == bool else len(rows)
    if values.nbytes // max(len(values), 1) * count <= LARGE:
        chosen: npt.NDArray[Any] = values[rows]
        return chosen
    numbers = np.flatnonzero(rows) if rows.dtype == bool else rows
    if (np.diff(numbers) == 1).all():
        return values[int(numbers[0]) : int(numbers[-1]) + 1]
    found = empty((count, *values.shape[1:]), values.dtype)
    for part in parts(found):
        found[part] = values[numbers[part]]
    return found


def parts(values: npt.NDArray[Any], at_once: int = PART) -> Iterator[slice]:
    """Yield slices of the rows of an array of about so many bytes each."""
    rows = max(at_once * len(values) // max(values.nbytes, 1), 1)
    return (slice(start, start + rows) for start in range(0, len(values), rows))


def drawn(rows: npt.NDArray[np.bool_], most: int) -> npt.NDArray[Any]:
    """Return a mask (N,) as it is, or of more rows the numbers of so many of them, evenly spread."""
    count = int(np.count_nonzero(rows))
    if count <= most:
        return rows
    chosen: npt.NDArray[np.intp] = np.flatnonzero(rows)[np.linspace(0, count - 1, most).astype(np.intp)]
    return chosen
