"""Open a file that somebody brings, whatever its format: its columns by name, each read only when it is asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from finecal.errors import UserError
from finecal.io.outside import reading
from finecal.io.outside_warnings import unseen
from finecal.logits import arrow, contents
from finecal.logits.arrays import open_arrays
from finecal.logits.folders import open_folder
from finecal.logits.labels import Words
from finecal.logits.texts import read_csv, read_json_lines

VALUES = 1 << 22  # of a column of lists in memory at once
BUFFER = 1 << 20  # bytes of a file read at once
ENUM = b"_PL_ENUM_VALUES"  # what the metadata of polars' enums begin with
FORMATS = ".parquet, .feather, .arrow, .csv, .jsonl, .npz, .npy, .pt, .safetensors, .h5"
_PARQUET, _FEATHER, _CSV = (".parquet", ".pq"), (".feather", ".arrow", ".arrows", ".ipc"), (".csv", ".tsv", ".txt")
_JSON, _COMPRESSED = (".jsonl", ".ndjson"), (".gz", ".bz2", ".zst", ".lz4")
_ARRAYS = (".npz", ".npy", ".pt", ".pth", ".safetensors", ".h5", ".hdf5")
# What people also bring, and what they can do with it.
INSTEAD = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), "A pickle runs code: numpy.savez(FILE, logits=…, label=…)"),
    ".mat": "In Python: numpy.savez(FILE, logits=…, label=…) of what scipy.io.loadmat gives",
    ".json": "JSON lines (.jsonl) are read, an object per line; pandas.read_json(FILE).to_parquet(…) writes Parquet",
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "Save the sheet as CSV"),
    **dict.fromkeys((".zip", ".xz", ".tar", ".7z", ".rar"), "Unpack it"),
    **dict.fromkeys((".ckpt", ".bin", ".onnx"), "Of a model its logits are needed; finecal.calibrate takes the model"),
    **dict.fromkeys((*_COMPRESSED, ".br"), "Compressed, .csv and .jsonl are read; unpack others"),
}  # fmt: skip


class Source(Protocol):
    """Columns by name; `kind` says what a column is, `matrix` gives (N, width) numbers, `values` one value per row."""

    @property
    def where(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def names(self) -> list[str]: ...
    def is_matrix(self, name: str) -> bool: ...
    def is_number(self, name: str) -> bool: ...
    def kind(self, name: str) -> str: ...
    def matrix(self, name: str) -> npt.NDArray[Any]: ...
    def values(self, name: str) -> npt.NDArray[Any] | Words: ...


@dataclass(frozen=True)
class Arrays:
    """Arrays by name, from a file or from memory."""

    where: str
    arrays: Mapping[str, Any]

    @property
    def rows(self) -> int:
        arrays = (array.codes if isinstance(array, Words) else array for array in self.arrays.values())
        return max((array.shape[0] for array in arrays if array.shape), default=0)

    @property
    def names(self) -> list[str]:
        return list(self.arrays)

    def is_matrix(self, name: str) -> bool:
        shape = getattr(self.arrays[name], "shape", ())
        return len(shape) > 1 and math.prod(shape[1:]) > 1

    def is_number(self, name: str) -> bool:
        array = self.arrays[name]
        return not isinstance(array, Words) and len(array.shape) == 1 and array.dtype.kind in "fiu"

    def kind(self, name: str) -> str:
        array = self.arrays[name]
        return "text" if isinstance(array, Words) or array.dtype.kind in "OSU" else f"of type {array.dtype}"

    def matrix(self, name: str) -> npt.NDArray[Any]:
        with reading(self.where, "arrays"):
            return np.asarray(self.arrays[name])

    def values(self, name: str) -> npt.NDArray[Any] | Words:
        array = self.arrays[name]
        return array if isinstance(array, Words) else self.matrix(name)


@dataclass(frozen=True)
class Table:
    """A table of Arrow in memory."""

    where: str
    table: pa.Table

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    @property
    def names(self) -> list[str]:
        return list(self.table.column_names)

    def is_matrix(self, name: str) -> bool:
        return arrow.is_matrix(self.table.schema.field(name).type)

    def is_number(self, name: str) -> bool:
        return arrow.is_number(self.table.schema.field(name).type)

    def kind(self, name: str) -> str:
        return arrow.described(self.table.schema.field(name).type)

    def matrix(self, name: str) -> npt.NDArray[Any]:
        column = self.table[name]
        return arrow.matrix(column.chunks, len(column), name, self.where)

    def values(self, name: str) -> npt.NDArray[Any] | Words:
        return arrow.values(self.table[name], name, self.where, enum=_is_enum(self.table.schema.field(name)))


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file; a column is read in parts, so that memory holds the array and one part."""

    where: str
    schema: pa.Schema
    rows: int

    @property
    def names(self) -> list[str]:
        return list(self.schema.names)

    def is_matrix(self, name: str) -> bool:
        return arrow.is_matrix(self.schema.field(name).type)

    def is_number(self, name: str) -> bool:
        return arrow.is_number(self.schema.field(name).type)

    def kind(self, name: str) -> str:
        return arrow.described(self.schema.field(name).type)

    def matrix(self, name: str) -> npt.NDArray[Any]:
        with self._open() as file:
            return arrow.matrix(self._parts(file, name), self.rows, name, self.where)

    def values(self, name: str) -> npt.NDArray[Any] | Words:
        with self._open() as file:
            column = file.read(columns=[name]).column(0)
        return arrow.values(column, name, self.where, enum=_is_enum(self.schema.field(name)))

    def _parts(self, file: pq.ParquetFile, name: str) -> Iterator[pa.Array]:
        """The column in parts of at most VALUES numbers, from the average length of its lists."""
        metadata, rows = file.metadata, max(file.metadata.num_rows, 1)
        paths = [metadata.schema.column(k).path.split(".")[0] for k in range(metadata.num_columns)]
        place = paths.index(name)
        groups = [metadata.row_group(k).column(place).num_values for k in range(metadata.num_row_groups)]
        at_once = max(VALUES * rows // max(sum(groups), 1), 1)
        for batch in file.iter_batches(batch_size=at_once, columns=[name], use_threads=False):
            yield batch.column(0)

    @contextmanager
    def _open(self) -> Iterator[pq.ParquetFile]:
        # Else Arrow keeps all that has been read until the file is closed, and reads a row group's column at once.
        options = {"pre_buffer": False, "buffer_size": BUFFER}
        with (
            reading(self.where, "Parquet"),
            pq.ParquetFile(self.where, page_checksum_verification=True, **options) as file,
        ):
            yield file


def _is_enum(field: pa.Field) -> bool:
    return any(key.startswith(ENUM) for key in field.metadata or {})


def open_file(path: Path) -> Source:
    """Open a file by the format that its name ends with.

    Raises
    ------
    UserError
        If it is missing, damaged, or in a format that is not read.
    """
    where, ending = str(path), path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    if ending in _COMPRESSED and inner in (*_CSV, *_JSON):
        ending = inner
    if path.is_dir():
        return open_folder(path, open_file)
    if not path.exists():
        web = re.match(r"\w{2,}:/", where)
        raise UserError(
            "this file is missing", where=where, hint="Only files on disk are read: download it" * bool(web)
        )
    contents.check(path, ending)
    if ending in _PARQUET:
        with reading(where, "Parquet"):
            return _named(ParquetFile(where, pq.read_schema(where), pq.read_metadata(where).num_rows))
    if ending in _FEATHER:
        with reading(where, "Feather"):
            return _named(Table(where, _feather(path)))
    if ending in _CSV:
        with reading(where, "CSV"):
            return _named(Table(where, read_csv(path)))
    if ending in _JSON:
        with reading(where, "JSON lines"):
            return _named(Table(where, read_json_lines(path)))
    if ending in _ARRAYS:
        with reading(where, ending):
            return Arrays(where, open_arrays(path, ending))
    raise UserError(
        f"files that end with {ending or 'nothing'} are not read", where=where, why=f"Allowed are {FORMATS}",
        hint=INSTEAD.get(ending, ""),
    )  # fmt: skip


def _named(source: Source) -> Source:
    """Return a table after a look at the names of its columns: Arrow reads them as text when they are asked for."""
    for name in source.names:
        source.is_number(name)
    return source


def _feather(path: Path) -> pa.Table:
    """Arrow's file format mapped into memory, or its stream format; columns are touched when they are used."""
    source = pa.memory_map(str(path))
    if source.size() > 6 and source.read_at(6, 0) in (b"ARROW1", b"FEA1\0\0"):
        with unseen():  # that the first version of the format is old
            return pa.feather.read_table(str(path), memory_map=True)
    return pa.ipc.open_stream(source).read_all()
