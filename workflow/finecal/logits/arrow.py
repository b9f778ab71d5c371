"""Arrow's columns as arrays: matrices in bounded memory, labels, words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from finecal import display
from finecal.errors import UserError, join_names
from finecal.io import large
from finecal.io.outside import reading
from finecal.logits.labels import Words


def is_matrix(kind: pa.DataType) -> bool:
    """Return whether a type is lists of numbers, in any of Arrow's forms."""
    kind = _storage(kind)
    inner = _storage(kind.value_type) if _is_list(kind) else kind
    return _is_list(kind) and _is_number(_storage(inner.value_type) if _is_list(inner) else inner)


def is_number(kind: pa.DataType) -> bool:
    """Return whether a type is numbers."""
    return _is_number(_storage(kind))


def described(kind: pa.DataType) -> str:
    """Return what a column is, in words."""
    if pa.types.is_struct(kind):
        names = [kind.field(place).name for place in range(kind.num_fields)]
        return f"a struct of {join_names(names, 6)}, whose fields must be columns of their own"
    words = ("is_string", "is_large_string", "is_string_view", "is_dictionary")
    return "text" if any(getattr(pa.types, name)(kind) for name in words) else f"of type {kind}"


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _is_list(kind: pa.DataType) -> bool:
    names = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    return any(getattr(pa.types, name)(kind) for name in names)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def matrix(batches: Iterable[pa.Array], rows: int, name: str, where: str) -> npt.NDArray[Any]:
    """Fill an (N, width) array from the parts of a column of lists, one part in memory at a time.

    float64 stays float64, all else becomes float32. No part of Arrow's limits (2³¹ values in an array) holds for it.

    Raises
    ------
    UserError
        If lists have different lengths, or a list or a number is missing.
    """
    found: npt.NDArray[Any] | None = None
    start, lengths = 0, set[int]()
    for batch in batches:
        part = _storage_of(sound(batch, where))
        if part.null_count:
            raise UserError(f"the column {name!r} has {display.count(part.null_count, 'empty value')}", where=where)
        if not len(part):
            continue
        part = _without_ones(part)
        lengths |= set(pc.unique(pc.list_value_length(part)).to_pylist())
        if len(lengths) > 1:
            several = ", ".join(map(str, sorted(lengths)[:5]))
            raise UserError(f"the column {name!r} has lists of different lengths: {several}", where=where)
        flat = numbers(part.flatten(), name, where)
        if found is None:
            found = large.empty((rows, max(lengths)), flat.dtype)
        if start + len(part) > rows or flat.size != len(part) * found.shape[1]:
            raise UserError(f"the column {name!r} has more values than the file has rows", where=where)
        found[start : start + len(part)] = flat.reshape(len(part), found.shape[1])
        start += len(part)
    return np.empty((0, 0), np.float32) if found is None else found[:start]


def _without_ones(part: pa.Array) -> pa.Array:
    """Return lists without a list of length 1 around each, as of a batch of one sample."""
    inner = _storage(part.type.value_type)
    if _is_list(inner) and pc.unique(pc.list_value_length(part)).to_pylist() == [1]:
        return _storage_of(part.flatten())
    return part


def numbers(flat: pa.Array, name: str, where: str) -> npt.NDArray[Any]:
    """Return numbers of any of Arrow's types as float64 if they are that, else as float32."""
    flat = _storage_of(flat)
    if _is_list(flat.type):  # a matrix in each row, such as (C, 1)
        if pc.unique(pc.list_value_length(flat)).to_pylist() != [1]:
            raise UserError(f"the column {name!r} has a matrix in each row", where=where, why="One list is needed")
        flat = _storage_of(flat.flatten())
    if not _is_number(flat.type):
        raise UserError(f"the column {name!r} has values of type {flat.type} instead of numbers", where=where)
    if flat.null_count:
        raise UserError(f"the column {name!r} has {display.count(flat.null_count, 'empty value')}", where=where)
    if pa.types.is_decimal(flat.type):
        flat = flat.cast(pa.float64())
    values: npt.NDArray[Any] = flat.to_numpy(zero_copy_only=False)
    return values if values.dtype == np.float64 else values.astype(np.float32, copy=False)


def sound(column: Any, where: str) -> Any:
    """Return a column after a check of its offsets and texts, which Arrow trusts: it would read elsewhere in memory.

    Raises
    ------
    UserError
        If one leads out of the column, or a text is not UTF-8.
    """
    with reading(where, "a column of Arrow"):
        column.validate(full=True)
    return column


def _storage_of(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array.type, pa.BaseExtensionType) else array


def values(column: pa.ChunkedArray, name: str, where: str, *, enum: bool = False) -> npt.NDArray[Any] | Words:
    """Return a column of one value per row: numbers as they are, text and categories as `Words`.

    Parameters
    ----------
    enum
        Whether the order of a category is declared although the type does not say so, as that of polars' enums.

    Raises
    ------
    UserError
        If a value is missing or of another type.
    """
    sound(column, where)
    if column.null_count:
        raise UserError(f"the column {name!r} has {display.count(column.null_count, 'empty value')}", where=where)
    if pa.types.is_run_end_encoded(column.type):
        column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
    kind = column.type
    if pa.types.is_dictionary(kind):
        if not pa.types.is_integer(kind.value_type):
            return _category(column, enum=enum)
        column = column.cast(kind.value_type)
        kind = column.type
    if is_matrix(kind):
        return matrix(column.chunks, len(column), name, where)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _words(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        with reading(where, f"text in the column {name!r}"):
            column = column.cast(pa.string())
        return _words(column)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    if not (is_number(kind) or pa.types.is_boolean(kind)):
        raise UserError(f"the column {name!r} is {kind}", where=where, why="Numbers or text are needed")
    found: npt.NDArray[Any] = column.to_numpy()
    return found


def _words(column: pa.ChunkedArray) -> Words:
    coded = column.cast(pa.large_string()).combine_chunks().dictionary_encode()  # 2³¹ letters and more
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    return Words(coded.indices.to_numpy().astype(np.int64), tuple(coded.dictionary.to_pylist()), False)


def _category(column: pa.ChunkedArray, *, enum: bool) -> Words:
    """A category's order counts where it is declared: ordered, an enum, or other than that in which words came."""
    unified = column.unify_dictionaries().combine_chunks()
    array = unified.chunk(0) if isinstance(unified, pa.ChunkedArray) else unified
    codes = array.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    words = tuple(str(word) for word in array.dictionary.to_pylist())
    first = np.unique(codes, return_index=True)[1]
    as_they_came = bool((np.diff(first) > 0).all())
    ordered = bool(column.type.ordered) or enum or not as_they_came
    return Words(codes, words, ordered)
