"""Convert between matrices and columns of lists of numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from finecal.errors import UserError, counted
from finecal.io.arrow_values import numbers, one_array


def is_matrix(kind: pa.DataType) -> bool:
    """Return whether a type is lists of floating-point numbers."""
    return _is_list(kind) and bool(pa.types.is_floating(kind.value_type))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of equally long lists as an (N, width) array, without copying where Arrow allows.

    Raises
    ------
    UserError
        If the lists have different lengths, one is missing, or the column is not lists of numbers.
    """
    kind = column.type
    if not is_matrix(kind) and not (_is_list(kind) and pa.types.is_integer(kind.value_type)):
        raise UserError(f"values of type {kind} instead of lists of numbers")
    if column.null_count:
        raise UserError(f"{counted(column.null_count, 'empty value')}")
    array = one_array(column)
    # Not `flatten`, which imports pyarrow.compute.
    if pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        first = array.offset * width
    else:
        offsets = numbers(array.offsets)
        lengths = set(np.diff(offsets).tolist())
        if len(lengths) > 1:
            raise UserError(f"lists of different lengths: {', '.join(map(str, sorted(lengths, key=str)[:5]))}")
        width = lengths.pop() if lengths else 0
        first = int(offsets[0])
    return numbers(array.values.slice(first, len(array) * width)).reshape(len(array), width)


def matrix_column(table: pa.Table, name: str, path: str | Path) -> np.ndarray:
    """Return a column of a table as `matrix` does; errors name the column and the file it was read from."""
    try:
        return matrix(table[name])
    except UserError as error:
        raise UserError(f"the column {name!r} has {error.what}", where=str(path)) from error


def list_array(values: np.ndarray) -> pa.FixedSizeListArray:
    """Return an (N, width) array as a column of fixed-size lists.

    The name inside the type is the one that Parquet gives it: a table read and written again has the same bytes.
    """
    flat = pa.array(values.reshape(-1))
    kind = pa.list_(pa.field("element", flat.type), values.shape[1])
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)
