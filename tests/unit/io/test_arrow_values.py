"""Columns of Arrow as arrays: what `to_numpy` gives, and in a process that has no pandas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from finecal.io import arrow_values
from finecal.io.arrow_values import numbers, words
from finecal.io.list_columns import list_array, matrix

# What light jobs do with tables: values of each kind written and read.
IN_A_JOB = """
import sys
from pathlib import Path
import numpy as np
import pyarrow as pa
from finecal import schemas
from finecal.io.arrow_values import numbers, words
from finecal.io.declared import from_rows
from finecal.io.list_columns import list_array, matrix
from finecal.io.parquet import read_table, with_columns, write_table
from finecal.runtime.imports import no_pandas_yet

no_pandas_yet()
schema = pa.schema({"a": pa.int32(), "b": pa.string(), "c": pa.bool_(), "d": pa.float64()})
table = from_rows([{"a": 1, "b": "x", "c": True, "d": None}], schema)
table = table.append_column("m", list_array(np.ones((1, 2))))
table = with_columns(table, {"seed": 0, "split": "half0"})
write_table("t.parquet", table, provenance={})
found = read_table("t.parquet", pa.schema([table.schema.field(name) for name in ("m", "b", "a", "c")]))
print(numbers(found["a"]), numbers(found["c"]), words(found["b"]), matrix(found["m"]), found.column_names)
print([name for name in ("pandas", "pyarrow.dataset", "pyarrow.compute") if name in sys.modules])
"""


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "int64", "float16", "float32", "float64", "bool"])
def test_numbers(kind: str) -> None:
    values = pa.array(np.array([0, 1, 1, 0, 1]).astype(kind))
    columns = [
        values, values[1:3], values[:0], pa.chunked_array([values]), pa.chunked_array([values[:2], values[2:]]),
        pa.chunked_array([], values.type),
    ]  # fmt: skip
    for column in columns:
        found, wanted = numbers(column), column.to_numpy(zero_copy_only=False)
        assert found.dtype == wanted.dtype == kind
        assert found.tolist() == wanted.tolist()


def test_gaps() -> None:
    assert np.array_equal(numbers(pa.array([1, None])), [1, np.nan], equal_nan=True)
    assert words(pa.chunked_array([["a", None]])).tolist() == ["a", None]


@pytest.mark.parametrize("few", [0, 10])
def test_words(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(arrow_values, "FEW", few)
    for column in (pa.chunked_array([["b", "a"], ["b"]]), pa.array(["b"])[:0], pa.chunked_array([], pa.string())):
        found = words(column)
        assert found.dtype == object
        assert found.tolist() == column.to_pylist()


@pytest.mark.parametrize("kind", [None, pa.list_(pa.float32()), pa.large_list(pa.float32())])
def test_parts_of_lists(kind: pa.DataType | None) -> None:
    lists = list_array(np.arange(24, dtype=np.float32).reshape(8, 3))
    lists = lists if kind is None else lists.cast(kind)
    for column in ([lists], [lists.slice(2, 3)], [lists.slice(1, 2), lists.slice(5)]):
        chunked = pa.chunked_array(column)
        assert matrix(chunked).tolist() == chunked.to_pylist()


def test_no_pandas(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_JOB], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[1] [ True] ['x'] [[1. 1.]] ['m', 'b', 'a', 'c']\n[]\n", "")
