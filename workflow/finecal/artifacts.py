"""Parquet and other files: whole or not there at all, with a schema that is checked and with provenance."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
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
    merged = {**(table.schema.metadata or {}), PROVENANCE: json.dumps(provenance, sort_keys=True).encode()}
    with whole_file(path) as temporary:
        table = table.replace_schema_metadata(merged)
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


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
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not is_list or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
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
    with Path(path).open("rb") as file:
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
    peak_gpu_memory_mib: float | None = None,
) -> dict[str, Any]:
    """What made a file: version and commit, command, resolved options, libraries, device, inputs with hashes.

    There is no time in it: the same work twice gives the same bytes. The memory is there for a GPU only.
    """
    memory = {} if peak_gpu_memory_mib is None else {"peak_gpu_memory_mib": peak_gpu_memory_mib}
    return {
        "version": finecal.__version__,
        "commit": commit(),
        "command": " ".join(["finecal", *sys.argv[1:]]),
        "options": dict(options),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "device": device,
        **memory,
        "inputs": {str(path): sha256(path) for path in inputs},
    }
