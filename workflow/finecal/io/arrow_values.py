"""The values of Arrow's columns as arrays of NumPy, without pandas.

Arrow imports pandas in `to_numpy`, which takes 0.3 s of CPU time and 30 MiB, in jobs that compute for less. So it does
in `pa.array`, with a type or without (findings/pyarrow_imports_pandas.sh), unless `finecal.runtime.imports` keeps it
from looking for pandas.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# So many strings are read one by one, which takes less than the import of what finds equal ones (pyarrow.compute).
FEW = 20_000


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, not copied if it is one already."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)


def numbers(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return (N,) numbers or truth values as `to_numpy` does: a view that cannot be written where Arrow allows."""
    if column.null_count:
        return np.asarray(column)
    array = one_array(column)
    if pa.types.is_boolean(array.type):
        bits = np.frombuffer(array.buffers()[1] or b"", dtype=np.uint8)
        return np.unpackbits(bits, bitorder="little")[array.offset :][: len(array)].view(np.bool_)
    return np.from_dlpack(array)


def words(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """Return (N,) strings as `to_numpy` does."""
    if column.null_count:
        return np.asarray(column)
    if len(column) < FEW:
        return np.array(column.to_pylist(), dtype=object)
    found = one_array(column).dictionary_encode()
    every: npt.NDArray[np.object_] = np.array(found.dictionary.to_pylist(), dtype=object)[numbers(found.indices)]
    return every
