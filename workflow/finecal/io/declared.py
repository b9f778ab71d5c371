"""Make sure that tables have exactly the columns and types that `finecal.schemas` declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from finecal import schemas
from finecal.errors import UserError

AGAIN = "Delete it, it will be made again"


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(type(n) is int and 0 < n < 2**20 for n in value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _are_hashes(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


# Entries that are read again, by their keys: what each has, and how it is known.
DECLARED: dict[str, dict[str, Callable[[Any], bool]]] = {
    "finecal.images": {"shape": _is_shape, "classes": _is_names, "complete": lambda value: isinstance(value, bool)},
    "finecal": {
        "inputs": lambda value: value is None or _are_hashes(value),
    },
}


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Check a table against its declared schema and attach the meanings of its columns; nothing is cast.

    Raises
    ------
    TypeError
        If a column is missing, not declared, in another place, or of another type.
    """
    lengths = {}
    for field in schema:
        if schemas.has_length(field) and field.name in table.column_names:
            kind = table.schema.field(field.name).type
            if pa.types.is_fixed_size_list(kind):
                lengths[field.name] = kind.list_size
            elif pa.types.is_fixed_size_binary(kind):
                lengths[field.name] = kind.byte_width
            else:
                raise TypeError(f"the column {field.name!r} is {kind}, without a length")
    expected = schemas.sized(schema, **lengths)
    if problem := difference(table.schema, expected):
        raise TypeError(f"this is not the declared table: {problem}")
    return pa.Table.from_arrays(table.columns, schema=expected.with_metadata(table.schema.metadata))


def check_entry(key: str, entry: Any, where: str) -> dict[str, Any]:
    """Return a JSON entry of a table's metadata if it is a mapping and has what is declared for it.

    Raises
    ------
    UserError
        If it is something else: the file was changed by hand, or is damaged where no checksum is.
    """
    if not isinstance(entry, dict):
        raise UserError(f"its metadata {key!r} are no mapping", where=where, hint=AGAIN)
    for name, fits in DECLARED.get(key, {}).items():
        if not fits(entry.get(name)):
            raise UserError(f"its metadata {key!r} have no {name}", where=where, hint=AGAIN)
    return entry


def from_rows(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Make a table of rows, each of which has a value or None for every column of the schema and nothing else.

    Raises
    ------
    TypeError
        If a row lacks a column or has another one.
    """
    names = set(schema.names)
    for row in rows:
        if row.keys() != names:
            raise TypeError(f"a row has {sorted(row)}, the declared columns are {sorted(names)}")
    return pa.Table.from_pylist(list(rows), schema=schema)


def difference(found: pa.Schema, expected: pa.Schema) -> str:
    """Return the first difference in names, types or order of columns in words; empty if there is none."""
    if found == expected:  # metadata is not compared
        return ""
    here, there = ({field.name: str(field.type) for field in schema} for schema in (found, expected))
    for name in {**there, **here}:
        if here.get(name) != there.get(name):
            return f"{name!r} is {here.get(name, 'missing')} and must be {there.get(name, 'missing')}"
    return f"the columns stand in the order {', '.join(found.names)}, not {', '.join(expected.names)}"
