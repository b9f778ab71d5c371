"""Arrays, tensors, columns, tables and lists in memory, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from finecal.errors import UserError, counted, join_names
from finecal.io.outside import reading
from finecal.logits import arrow, names
from finecal.logits.files import Arrays, Source, Table, open_file
from finecal.logits.labels import Words
from finecal.logits.objects import columns_of
from finecal.logits.tensors import of_object, of_tensor


def as_source(given: Any) -> Source | None:
    """Return a file or table as columns by name; None for what is no table."""
    if isinstance(given, (str, Path)):
        return open_file(Path(given).expanduser())
    if isinstance(given, (bytes, bytearray)) or hasattr(given, "readinto"):
        what = "bytes" if isinstance(given, (bytes, bytearray)) else "an open file"
        raise UserError(f"this is {what}", why="The path of a file, a table or arrays are needed")
    if hasattr(given, "collect") and hasattr(given, "collect_schema"):  # polars' plan of a table
        given = given.collect()
    if (table := _of_arrow(given)) is not None:
        return Table("", table)
    if isinstance(given, np.ndarray) and given.dtype.names:
        given = {name: given[name] for name in given.dtype.names}
    if hasattr(given, "columns") and hasattr(given, "to_arrow"):  # polars
        return Table("", given.to_arrow())
    if hasattr(given, "columns") and hasattr(given, "to_numpy"):  # pandas
        return Table("", _of_pandas(given))
    columns = columns_of(given)
    return None if columns is None else Arrays("", _arrays(columns))


def _of_arrow(given: Any) -> pa.Table | None:
    """Return what Arrow, Hugging Face's datasets and others hand over as a table of Arrow."""
    if isinstance(given, pa.Table):
        return given
    if isinstance(given, pa.RecordBatch):
        return pa.Table.from_batches([given])
    if isinstance(given, pa.RecordBatchReader):
        return given.read_all()
    if hasattr(given, "to_table") and hasattr(given, "schema"):  # a data set of Arrow, or its scanner
        return given.to_table()
    if hasattr(given, "with_format") and hasattr(given, "column_names") and hasattr(given, "__getitem__"):
        return given.with_format("arrow")[:]
    if hasattr(given, "columns") and hasattr(given, "__arrow_c_stream__") and not hasattr(given, "to_numpy"):
        return pa.table(given)
    return None


def _arrays(columns: Mapping[Any, Any]) -> dict[str, Any]:
    """Return columns as arrays; what is none, as a number that is noted beside them, is left out."""
    found: dict[str, Any] = {}
    for name in columns:
        value = columns[name]
        if isinstance(value, Mapping) or hasattr(value, "columns") or isinstance(value, (str, bytes)) or value is None:
            continue
        array = as_array(value, str(name))
        found[str(name)] = array if isinstance(array, Words) else np.asarray(array)
    if columns and not found:
        kinds = join_names([f"{name} ({type(columns[name]).__name__})" for name in columns], 6)
        raise UserError(f"there are no arrays by name: {kinds}", why="One table, with a column subset, is needed")
    return found


def _of_pandas(given: Any) -> pa.Table:
    """Return a frame as a table; levels of columns are joined, and tensors in them are lists."""
    frame = given.copy(deep=False)
    frame.columns = ["_".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in given.columns]
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise UserError(f"the column {twice!r} is there more than once")
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind == "O" and len(column) and hasattr(column.iloc[0], "detach"):
            frame[name] = [of_tensor(one, name) for one in column]
    with reading("", "a table of Arrow"):
        return pa.Table.from_pandas(frame, preserve_index=bool(names.find(names.SAMPLE, [str(frame.index.name)])))


def as_array(given: Any, name: str = "values") -> Any:
    """Return an array, or `Words` for categories, of NumPy, torch, pandas, polars, Arrow or lists.

    Raises
    ------
    UserError
        If it is not rectangular.
    """
    if isinstance(given, np.ma.MaskedArray):
        return _without_mask(given, name)
    if isinstance(given, np.ndarray) and given.dtype.kind == "T":  # text of NumPy 2 of any length
        given = given.astype(object)
    if given is None or (isinstance(given, np.ndarray) and given.dtype.kind != "O"):
        return given
    if hasattr(given, "toarray") and hasattr(given, "nnz"):  # sparse, of SciPy
        return given.toarray()
    if isinstance(given, Iterator):
        given = list(given)
    if hasattr(given, "detach"):  # torch
        return of_tensor(given, name)
    if hasattr(given, "columns"):  # a frame of numbers alone
        return np.asarray(given.to_numpy())
    if hasattr(given, "to_arrow"):  # polars
        given = given.to_arrow()
    elif hasattr(given, "dtype") and hasattr(given, "index") and not isinstance(given, (pa.Array, pa.ChunkedArray)):
        given = pa.Array.from_pandas(given)
    if isinstance(given, pa.Array):
        given = pa.chunked_array([given])
    if isinstance(given, pa.ChunkedArray):
        return arrow.values(given, name, "")
    if is_batches(given):
        return np.concatenate([as_array(batch, name) for batch in given])
    array = of_object([as_array(row, name) for row in given] if _of_rows(given) else given, name)
    if not array.ndim and array.dtype.kind == "O":
        raise UserError(
            f"{name} is a {type(given).__name__}", why="Arrays, tensors, columns, lists or a file are needed"
        )
    return _plain(array, name) if array.dtype.kind == "O" else array


def _plain(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return an array of Python's objects as one of text or numbers, if it is that."""
    if missing := sum(one is None for one in array.flat):
        raise UserError(f"{name} has {counted(missing, 'empty value')}")
    if all(isinstance(one, str) for one in array.flat):
        return array.astype(str)
    if array.size and all(isinstance(one, (bool, np.bool_)) for one in array.flat):
        return array.astype(bool)
    if array.size and all(isinstance(one, Number) and not isinstance(one, complex) for one in array.flat):
        return array.astype(np.int64 if all(isinstance(one, (int, np.integer)) for one in array.flat) else np.float64)
    return array


def _without_mask(given: Any, name: str) -> npt.NDArray[Any]:
    """Return a masked array as an array; what is masked of logits is a class without a score, −∞."""
    if not np.ma.is_masked(given):
        return np.asarray(given)
    if given.dtype.kind != "f":
        raise UserError(f"{name} has {counted(int(np.count_nonzero(np.ma.getmaskarray(given))), 'masked value')}")
    return np.asarray(given.filled(-np.inf))


def is_batches(given: Any) -> bool:
    """A list of matrices: what a loop over a loader has collected."""
    return isinstance(given, (list, tuple)) and len(given) > 0 and all(getattr(one, "ndim", 0) == 2 for one in given)


def _of_rows(given: Any) -> bool:
    """A list or an object array whose rows are arrays or tensors."""
    return (
        isinstance(given, (list, tuple, np.ndarray))
        and len(given) > 0
        and hasattr(given[0], "__len__")
        and not (isinstance(given[0], (str, bytes)))
    )
