"""Write Parquet files whole or not at all, with their provenance; read them with a check of their columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finecal import schemas
from finecal.errors import UserError
from finecal.io.atomic import whole_file
from finecal.io.declared import AGAIN, check_entry, conform
from finecal.io.list_columns import is_matrix
from finecal.io.outside import reading

PROVENANCE = b"finecal"
# Rows of a row group in a file that is written in parts: some 20 MiB of a table of curves.
ROWS = 1 << 17


def write_table(
    path: str | Path, table: pa.Table, schema: pa.Schema | None = None, *, provenance: Mapping[str, Any]
) -> None:
    """Write a Parquet file (zstd), whole or not at all, with the provenance in its metadata.

    Parameters
    ----------
    schema
        The declared schema, which the table must have (see `finecal.io.declared.conform`); the meanings of its columns
        are written, too. None for tables of figures and for presentation, whose columns are declared nowhere.
    """
    if schema is not None:
        table = conform(table, schema)
    with whole_file(path) as temporary:
        table = table.replace_schema_metadata(_with_provenance(table.schema, provenance))
        pq.write_table(table, temporary, **_layout(table.schema))


@contextmanager
def table_writer(path: str | Path, schema: pa.Schema, *, provenance: Mapping[str, Any]) -> Iterator[pq.ParquetWriter]:
    """Open a writer for a table that is made in parts: each call of its `write_table` is a row group."""
    schema = schema.with_metadata(_with_provenance(schema, provenance))
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, schema, **_layout(schema)) as writer:
        yield writer


def write_parts(
    path: str | Path, parts: Iterable[pa.Table], schema: pa.Schema, *, provenance: Mapping[str, Any], rows: int = ROWS
) -> None:
    """Write many tables of one schema below each other, as `write_table`.

    They are taken one at a time and written in groups of `rows`, so that at most one group and one table are in memory.
    An error while the next one is made leaves no file behind.
    """
    with table_writer(path, schema, provenance=provenance) as writer:
        waiting = schema.empty_table()
        for part in parts:
            waiting = pa.concat_tables([waiting, part])
            full = len(waiting) - len(waiting) % rows
            if full:
                writer.write_table(waiting.slice(0, full), row_group_size=rows)
                waiting = waiting.slice(full)
        writer.write_table(waiting, row_group_size=rows)


def _layout(schema: pa.Schema) -> dict[str, Any]:
    """Choose how columns are stored: dictionaries where values repeat, and BYTE_STREAM_SPLIT for logits.

    A dictionary of pixels or of logits would be as large as they are; logits compress better when the bytes of their
    numbers are stored separately.
    """
    logits = [field.name for field in schema if is_matrix(field.type)]
    dictionary = [f.name for f in schema if f.name not in logits and not pa.types.is_fixed_size_binary(f.type)]
    split = {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in logits}
    return {
        "compression": "zstd",
        "write_page_checksum": True,
        "use_dictionary": dictionary,
        "column_encoding": split or None,
    }


def _with_provenance(schema: pa.Schema, provenance: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {**(schema.metadata or {}), PROVENANCE: json.dumps(provenance, sort_keys=True).encode()}


def read_table(path: str | Path, schema: pa.Schema | None = None, **options: Any) -> pa.Table:
    """Read a Parquet file; with `schema`, only its columns, which must be there with these types.

    A column of type null in `schema` may have any type.

    Raises
    ------
    UserError
        If the file is missing, truncated or not Parquet, or lacks a column.
    """
    with reading(path, "Parquet", hint=AGAIN):
        # Not pq.read_table, which imports pyarrow.dataset and with it pandas: as much memory and time as all else that
        # a light job imports.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = None if schema is None else _checked_names(path, file.schema_arrow, schema)
            if not options:
                table = file.read(columns=names, use_threads=pa.cpu_count() > 1)
                return table if names is None else table.select(names)  # they come in the order of the file
        if names is not None:
            options = {"columns": names, **options}
        return pq.read_table(path, page_checksum_verification=True, **options)


def _checked_names(path: str | Path, present: pa.Schema, schema: pa.Schema) -> list[str]:
    """Return the names of the columns of `schema`, all of which are present with their types."""
    for field in schema:
        if field.name not in present.names:
            raise UserError(
                f"the column {field.name!r} is missing", where=str(path), why=f"It has {', '.join(present.names)}"
            )
        found = present.field(field.name).type
        if field.type != pa.null() and found != field.type:
            raise UserError(f"the column {field.name!r} is {found}", where=str(path), why=f"It must be {field.type}")
    return list(schema.names)


def read_schema(path: str | Path) -> pa.Schema:
    """Read names, types and meanings of a Parquet file's columns."""
    with reading(path, "Parquet", hint=AGAIN):
        return pq.read_schema(path).remove_metadata()


def read_row_groups(path: str | Path, columns: Sequence[str], wanted: np.ndarray) -> Iterator[tuple[int, pa.Table]]:
    """Yield columns of a Parquet file by row group: the number of the group's first row, and the table.

    Parameters
    ----------
    wanted
        (N,) bool; row groups without a wanted row are not read.

    Raises
    ------
    UserError
        As `read_table`.
    """
    with reading(path, "Parquet", hint=AGAIN), pq.ParquetFile(path, page_checksum_verification=True) as file:
        first = 0
        for number in range(file.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            if wanted[first : first + rows].any():
                yield first, file.read_row_group(number, columns=columns, use_threads=False)
            first += rows


def read_metadata(path: str | Path, key: bytes = PROVENANCE) -> dict[str, Any]:
    """Read a JSON entry of a Parquet file's metadata, by default the provenance; empty if there is none."""
    with reading(path, "Parquet", hint=AGAIN):
        found = pq.read_schema(path).metadata or {}
        entry = json.loads(found.get(key, b"{}"))
    return check_entry(key.decode(), entry, str(path)) if key in found else {}


def with_columns(table: pa.Table, columns: Mapping[str, str | int]) -> pa.Table:
    """Add constant columns in front: wildcards are columns, so that any set of files concatenates."""
    for position, (name, value) in enumerate(columns.items()):
        kind = pa.int64() if isinstance(value, int) else pa.string()
        column = pa.repeat(pa.scalar(value, kind), len(table))
        table = table.add_column(position, schemas.coordinate(name, kind), column)
    return table
