"""Parquet and other files: whole or not there at all, with a schema that is checked and with provenance."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import finecal
from finecal.errors import UserError

PROVENANCE = b"finecal"
# A writer on another host cannot be asked whether it lives; one that has written nothing for a day does not.
SECONDS_UNTIL_LEFT = 86_400
# Of a group of rows in a file that is written in parts: some 20 MiB of a table of curves.
ROWS = 1 << 17
LIBRARIES = (
    "numpy",
    "pyarrow",
    "scipy",
    "torch",
    "torchvision",
    "timm",
    "pandas",
    "scikit-learn",
    "matplotlib",
    "seaborn",
)


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; at the end of the block it becomes `path`, or vanishes.

    A job killed at any moment therefore never leaves a part of a file under the final name. The name starts
    with a dot and holds host and process number, so that two processes do not write to the same one. What dead
    processes have left of this very file is removed.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_parts(path)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        with suppress(OSError):  # not there, or there cannot be one
            temporary.unlink()


def _remove_left_parts(path: Path) -> None:
    """Remove the parts of a file whose writers have died: on this host for certain, elsewhere a day ago."""
    start = f".{path.name}."
    for part in path.parent.iterdir():
        if not (part.name.startswith(start) and part.name.endswith(".part")):
            continue
        host, _, process = part.name.removeprefix(start).removesuffix(".part").rpartition(".")
        if not process.isdecimal():
            continue
        with suppress(FileNotFoundError):  # its writer has just finished
            if host == os.uname().nodename:
                left = not _lives(int(process))
            else:
                left = time.time() - part.stat().st_mtime > SECONDS_UNTIL_LEFT
            if left:
                part.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _explained(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            "no space left to write this file", where=str(path),
            hint="Free some space or raise the quota, then run again: finished files and training states are kept",
        )  # fmt: skip
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return UserError(f"cannot be written ({os.strerror(error.errno)})", where=str(path))
    return error


def remove_empty_parents(path: Path) -> None:
    """Remove the folders above a relative path that hold nothing any more."""
    for parent in path.parents:
        try:
            if parent == Path() or next(parent.iterdir(), None) is not None:
                return
            parent.rmdir()
        except OSError:  # another job has just put something there, or removed it itself
            return


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_table(path: str | Path, table: pa.Table, *, provenance: Mapping[str, Any]) -> None:
    """Write a Parquet file (zstd), whole or not at all, with the provenance in its metadata."""
    with whole_file(path) as temporary:
        table = table.replace_schema_metadata(_with_provenance(table.schema, provenance))
        pq.write_table(table, temporary, **_layout(table.schema))


@contextmanager
def table_writer(path: str | Path, schema: pa.Schema, *, provenance: Mapping[str, Any]) -> Iterator[pq.ParquetWriter]:
    """As `write_table`, for a table that is made part by part: each `write_table` of the writer is a row group."""
    schema = schema.with_metadata(_with_provenance(schema, provenance))
    with whole_file(path) as temporary, pq.ParquetWriter(temporary, schema, **_layout(schema)) as writer:
        yield writer


def write_parts(
    path: str | Path, parts: Iterable[pa.Table], schema: pa.Schema, *, provenance: Mapping[str, Any], rows: int = ROWS
) -> None:
    """As `write_table`, for many tables of one schema, one below the other.

    They are taken one at a time and written in groups of `rows`, so that no more than a group and a table are in
    memory. An error while the next one is made leaves nothing behind.
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
    """How columns are stored: with dictionaries, where values repeat; logits by their bytes, which compress better so.

    A dictionary of pixels, or of logits, is as large as they are.
    """
    logits = [field.name for field in schema if _is_matrix(field.type)]
    dictionary = [f.name for f in schema if f.name not in logits and not pa.types.is_fixed_size_binary(f.type)]
    split = {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in logits}
    return {
        "compression": "zstd",
        "write_page_checksum": True,
        "use_dictionary": dictionary,
        "column_encoding": split or None,
    }


def _is_matrix(kind: pa.DataType) -> bool:
    """Lists of numbers with a fraction."""
    return _is_list(kind) and bool(pa.types.is_floating(kind.value_type))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _with_provenance(schema: pa.Schema, provenance: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {**(schema.metadata or {}), PROVENANCE: json.dumps(provenance, sort_keys=True).encode()}


def read_table(path: str | Path, schema: pa.Schema | None = None, **options: Any) -> pa.Table:
    """Read a Parquet file; with `schema`, only its columns, which must be there with these types.

    A schema column of type null stands for any type.

    Raises
    ------
    UserError
        If the file is missing, no Parquet, truncated, or lacks a column.
    """
    with _readable(path):
        present = pq.read_schema(path)
        if schema is None:
            return pq.read_table(path, page_checksum_verification=True, **options)
        for field in schema:
            if field.name not in present.names:
                raise UserError(
                    f"the column {field.name!r} is missing", where=str(path), why=f"It has {', '.join(present.names)}"
                )
            found = present.field(field.name).type
            if field.type != pa.null() and found != field.type:
                raise UserError(
                    f"the column {field.name!r} is {found}", where=str(path), why=f"It must be {field.type}"
                )
        return pq.read_table(path, columns=schema.names, page_checksum_verification=True, **options)


def read_schema(path: str | Path) -> pa.Schema:
    """Names and types of a Parquet file's columns."""
    with _readable(path):
        return pq.read_schema(path).remove_metadata()


def read_row_groups(path: str | Path, columns: Sequence[str], wanted: np.ndarray) -> Iterator[tuple[int, pa.Table]]:
    """Columns of a Parquet file, one row group after another: the number of its first row, and the table.

    Parameters
    ----------
    wanted
        (N,) bool: row groups without a wanted row are not read.

    Raises
    ------
    UserError
        As `read_table`.
    """
    with _readable(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        first = 0
        for number in range(file.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            if wanted[first : first + rows].any():
                yield first, file.read_row_group(number, columns=columns, use_threads=False)
            first += rows


def read_metadata(path: str | Path, key: bytes = PROVENANCE) -> dict[str, Any]:
    """A JSON entry of a Parquet file's metadata, by default the provenance; empty if there is none."""
    with _readable(path):
        found = pq.read_schema(path).metadata or {}
    entry: dict[str, Any] = json.loads(found.get(key, b"{}"))
    return entry


@contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UserError("this file is missing", where=str(path)) from error
    except (pa.ArrowInvalid, OSError) as error:
        if Path(path).is_dir():
            raise UserError("this is a folder, a Parquet file is needed", where=str(path)) from error
        reason = str(error).splitlines()[0]
        raise UserError(
            f"not readable as Parquet ({reason})", where=str(path), hint="Delete it, it will be made again"
        ) from error


def matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of equally long lists as an (N, width) array, without copying where Arrow allows.

    Raises
    ------
    UserError
        If the lists are not equally long, one is missing, or they are no lists of numbers.
    """
    kind = column.type
    if not _is_matrix(kind) and not (_is_list(kind) and pa.types.is_integer(kind.value_type)):
        raise UserError(f"values of type {kind} instead of lists of numbers")
    if column.null_count:
        raise UserError(f"{column.null_count} empty value{'s' * (column.null_count > 1)}")
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    width = array.type.list_size if pa.types.is_fixed_size_list(array.type) else None
    values: np.ndarray = array.flatten().to_numpy(zero_copy_only=False)
    if width is None:
        lengths = set(array.value_lengths().to_pylist())
        if len(lengths) > 1:
            raise UserError(f"lists of different lengths: {', '.join(map(str, sorted(lengths, key=str)[:5]))}")
        width = lengths.pop() if lengths else 0
    return values.reshape(len(array), width)


def matrix_column(table: pa.Table, name: str, path: str | Path) -> np.ndarray:
    """As `matrix`, for a column of a table; errors name the column and the file it was read from."""
    try:
        return matrix(table[name])
    except UserError as error:
        raise UserError(f"the column {name!r} has {error.what}", where=str(path)) from error


def list_array(values: np.ndarray) -> pa.FixedSizeListArray:
    """An (N, width) array as a column of fixed-size lists.

    The name inside the type is the one that Parquet gives it: a table read and written again has the same bytes.
    """
    flat = pa.array(values.reshape(-1))
    kind = pa.list_(pa.field("element", flat.type), values.shape[1])
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)


def with_columns(table: pa.Table, columns: Mapping[str, str | int]) -> pa.Table:
    """Put constant columns in front: wildcards are columns, so any set of files concatenates."""
    for position, (name, value) in enumerate(columns.items()):
        column = pa.repeat(pa.scalar(value, pa.int64() if isinstance(value, int) else pa.string()), len(table))
        table = table.add_column(position, name, column)
    return table


@cache
def sha256(path: str | Path) -> str:
    """Hash of a file's bytes."""
    with _readable(path), Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def commit() -> str:
    """The commit of finecal's checkout, with `+` where files differ from it; empty outside a checkout."""
    command = [
        "git",
        "-C",
        str(Path(finecal.__file__).parent),
        "describe",
        "--always",
        "--abbrev=40",
        "--dirty=+",
        "--exclude=*",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def provenance(
    *,
    options: Mapping[str, Any],
    inputs: Sequence[str | Path] = (),
    device: str = "cpu",
    precision: str | None = None,
    compiled: bool | None = None,
    peak_gpu_memory_mib: float | None = None,
) -> dict[str, Any]:
    """What made a file: version and commit, command, resolved options, libraries, device, inputs with hashes.

    There is no time in it: the same work twice gives the same bytes. Precision is there where a model ran, whether it
    was compiled where it was trained, the memory where it ran on a GPU.
    """
    of_models = {"precision": precision, "compiled": compiled, "peak_gpu_memory_mib": peak_gpu_memory_mib}
    return {
        "version": finecal.__version__,
        "commit": commit(),
        "command": " ".join(["finecal", *sys.argv[1:]]),
        "options": dict(options),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "device": device,
        **{name: value for name, value in of_models.items() if value is not None},
        "inputs": {str(path): sha256(path) for path in inputs},
    }
