"""Files are whole or not there; what is read is checked; and every table says what made it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import finecal
from finecal.errors import UserError
from finecal.io.atomic import remove_empty_parents, whole_file, write_text
from finecal.io.list_columns import list_array, matrix, matrix_column
from finecal.io.parquet import read_metadata, read_table, with_columns, write_parts, write_table
from finecal.io.provenance import commit, provenance

TABLE = pa.table({"sample": pa.array([0, 1], pa.int32()), "logits": list_array(np.eye(2, dtype=np.float32))})


def files_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# ------------------------------------------------------------------ whole or not at all


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with whole_file(path) as temporary:
        temporary.write_text("text")
        assert not path.exists()
        assert temporary.parent == path.parent  # a rename within one file system
        assert temporary.name.startswith(".")
    assert path.read_text() == "text"
    assert files_in(path.parent) == ["a.txt"]


class OwnError(Exception):
    pass


@pytest.mark.parametrize("old", [None, "old"])
def test_an_error_in_the_block_leaves_what_was_there(tmp_path: Path, old: str | None) -> None:
    path = tmp_path / "a.txt"
    if old:
        path.write_text(old)
    with pytest.raises(OwnError), whole_file(path) as temporary:  # noqa: PT012 - the block is what is tested
        temporary.write_text("half of the")
        raise OwnError
    assert files_in(tmp_path) == (["a.txt"] if old else [])
    assert not old or path.read_text() == old


def test_a_killed_process_leaves_no_part_under_the_final_name(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from finecal.io.parquet import whole_file\n"
        "with whole_file(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half of the')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "a.txt").exists()
    assert len(files_in(tmp_path)) == 1
    write_text(tmp_path / "a.txt", "whole")
    assert files_in(tmp_path) == ["a.txt"]


def test_parts_that_somebody_may_still_write_stay(tmp_path: Path) -> None:
    here = os.uname().nodename
    young = [
        f".a.txt.{here}.{os.getppid()}.part",  # a process that lives
        ".a.txt.other-host.4194305.part",
        f".a.txt.b.{here}.4194305.part",  # of the file a.txt.b; no process has so high a number
        f".b.txt.{here}.4194305.part",
        ".a.txt.notes.part",
    ]
    old = ".a.txt.other.host.7.part"
    for name in (*young, old):
        (tmp_path / name).touch()
    os.utime(tmp_path / old, (0, 0))
    write_text(tmp_path / "a.txt", "whole")
    assert files_in(tmp_path) == sorted([*young, "a.txt"])


NO_SPACE = (
    "no space left to write this file. "
    "Hint: Free some space or raise the quota, then run again: finished files and training states are kept."
)
# What the operating system says → what the user reads.
FAILURES = {
    errno.ENOSPC: NO_SPACE,
    errno.EDQUOT: NO_SPACE,
    errno.EACCES: "cannot be written (Permission denied).",
    errno.EPERM: "cannot be written (Operation not permitted). "
    "Hint: `lsattr` says whether it or its folder is immutable; `chattr -i` takes that back.",
    errno.EROFS: "cannot be written (Read-only file system).",
}


@pytest.mark.parametrize("number", FAILURES, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["fsync", "mkdir", "write"])
def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"old")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    target = {"fsync": (os, "fsync"), "mkdir": (Path, "mkdir"), "write": (pq, "write_table")}[call]
    monkeypatch.setattr(*target, refuse)
    with pytest.raises(UserError) as caught:
        write_table(path, TABLE, provenance={})
    assert str(caught.value) == f"{path}: {FAILURES[number]}"
    assert files_in(tmp_path) == ["a.parquet"]
    assert path.read_bytes() == b"old"


def test_another_error_of_the_system_is_no_mistake_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        write_text(tmp_path / "a.txt", "text")


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught:
        write_text(tmp_path / "file" / "a.txt", "text")
    assert str(caught.value) == f"{tmp_path}/file/a.txt: cannot be written (File exists)."


def test_a_folder_where_a_file_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(UserError) as caught:
        write_text(tmp_path / "a.txt", "text")
    assert str(caught.value) == f"{tmp_path}/a.txt: cannot be written (Is a directory)."
    assert files_in(tmp_path) == ["a.txt"]


def test_empty_parents_go_and_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("state/a/b/c").mkdir(parents=True)
    Path("state/a/other").write_text("")
    remove_empty_parents(Path("state/a/b/c/file"))
    assert Path("state/a/other").exists()
    assert not Path("state/a/b").exists()


# ------------------------------------------------------------------ what is read is checked


def written(path: Path, table: pa.Table = TABLE) -> Path:
    write_table(path, table, provenance={})
    return path


def message(path: Path, schema: pa.Schema | None = None) -> str:
    with pytest.raises(UserError) as caught:
        read_table(path, schema)
    found = str(caught.value)
    assert found.startswith(f"{path}: ")
    return found.removeprefix(f"{path}: ")


def test_missing_file(tmp_path: Path) -> None:
    assert message(tmp_path / "no.parquet") == "this file is missing."


def test_folder(tmp_path: Path) -> None:
    assert message(tmp_path) == "this is a folder, a file is needed."


@pytest.mark.parametrize("content", [b"", b"PAR1", b"label,logits\n0,1\n" * 9])
def test_no_parquet(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    found = message(tmp_path / "a.parquet")
    assert found.startswith("not readable as Parquet (")
    assert found.endswith("). Hint: Delete it, it will be made again.")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_truncated_file(tmp_path: Path, part: float) -> None:
    path = written(tmp_path / "a.parquet")
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    assert message(path) == (
        "not readable as Parquet (Parquet magic bytes not found in footer. Either the file is corrupted or this is "
        "not a parquet file.). Hint: Delete it, it will be made again."
    )


@pytest.mark.parametrize("schema", [None, pa.schema([("x", pa.float64())])])
def test_flipped_bits(tmp_path: Path, schema: pa.Schema | None) -> None:
    """Random numbers do not compress, so zstd alone would hand wrong ones over: the pages have checksums."""
    path = written(tmp_path / "a.parquet", pa.table({"x": np.random.default_rng(0).random(5000)}))
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    assert message(path, schema) == (
        "not readable as Parquet (could not verify page integrity, CRC checksum verification failed for "
        "page_ordinal 0). Hint: Delete it, it will be made again."
    )


def test_missing_column(tmp_path: Path) -> None:
    found = message(written(tmp_path / "a.parquet"), pa.schema([("label", pa.int32())]))
    assert found == "the column 'label' is missing. It has sample, logits."


def test_column_of_another_type(tmp_path: Path) -> None:
    found = message(written(tmp_path / "a.parquet"), pa.schema([("sample", pa.int64())]))
    assert found == "the column 'sample' is int32. It must be int64."


def test_only_the_columns_of_the_schema_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet")
    assert read_table(path, pa.schema([("logits", pa.null())])).column_names == ["logits"]
    assert read_table(path).column_names == ["sample", "logits"]


# ------------------------------------------------------------------ provenance


def test_provenance_is_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/finecal", "split", "results/x.parquet"])
    (tmp_path / "input").write_bytes(b"abc")
    record = provenance({"options": {"b": 2, "a": 1}}, inputs=[tmp_path / "input"], device="cpu")
    path = tmp_path / "a.parquet"
    write_table(path, TABLE, provenance=record)
    found = read_metadata(path)
    assert found == record
    assert found["version"] == finecal.__version__
    assert found["command"] == "finecal split results/x.parquet"
    assert found["options"] == {"a": 1, "b": 2}
    assert found["device"] == "cpu"
    assert found["libraries"]["numpy"] == np.__version__
    assert found["inputs"] == {
        str(
            tmp_path / "input"
        ): "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2's "abc"
    }
    assert set(found) == {"version", "commit", "command", "options", "libraries", "device", "inputs"}


def test_the_commit_is_that_of_the_checkout() -> None:
    root = Path(finecal.__file__).parents[2]
    if not (root / ".git").exists():
        pytest.skip("not a checkout")
    head = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert commit().removesuffix("+") == head.stdout.strip()


def test_other_metadata_stays(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", TABLE.replace_schema_metadata({"finecal.other": json.dumps({"a": 1})}))
    assert read_metadata(path, b"finecal.other") == {"a": 1}
    assert read_metadata(path, b"nothing") == {}


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    record = provenance({"options": {"a": 1}})
    for name, order in (("one", ["a", "b"]), ("two", ["b", "a"])):
        write_table(tmp_path / name, TABLE, provenance={**record, "options": dict.fromkeys(order, 0)})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert pq.ParquetFile(tmp_path / "one").metadata.row_group(0).column(0).compression == "ZSTD"


def test_logits_have_no_dictionary_and_words_do(tmp_path: Path) -> None:
    """Of another list type too, and in a file that is written in parts."""
    table = TABLE.append_column("word", pa.array(["a", "a"])).append_column("halves", pa.array([[0.5], [0.5, 1.0]]))
    write_table(tmp_path / "one", table, provenance={})
    write_parts(tmp_path / "two", [table], table.schema, provenance={})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    group = pq.ParquetFile(tmp_path / "one").metadata.row_group(0)
    found = {column.path_in_schema: set(column.encodings) for column in map(group.column, range(group.num_columns))}
    assert "RLE_DICTIONARY" in found["word"] & found["sample"]
    for name in ("logits.list.element", "halves.list.element"):
        assert "BYTE_STREAM_SPLIT" in found[name]
        assert "RLE_DICTIONARY" not in found[name]
    assert read_table(tmp_path / "one").equals(table)


# ------------------------------------------------------------------ matrices as columns

MATRICES = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.uint8, np.int32]), st.tuples(st.integers(0, 7), st.integers(1, 5))
)


@given(MATRICES, st.integers(0, 7), st.integers(0, 7))
def test_a_matrix_survives_slices_and_chunks(values: np.ndarray, start: int, cut: int) -> None:
    column = pa.chunked_array([list_array(values)])
    sliced = column.slice(start)
    assert np.array_equal(matrix(column), values, equal_nan=values.dtype.kind == "f")
    assert np.array_equal(matrix(sliced), values[start:], equal_nan=values.dtype.kind == "f")
    pieces = pa.chunked_array([*sliced.slice(cut).chunks, *sliced.slice(0, cut).chunks], type=column.type)
    both = np.concatenate([values[start:][cut:], values[start:][:cut]])
    assert matrix(pieces).shape == both.shape
    assert np.array_equal(matrix(pieces), both, equal_nan=values.dtype.kind == "f")
    assert matrix(column).dtype == values.dtype


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list])
def test_lists_without_a_fixed_size_are_read_too(kind: Any) -> None:
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    column = pa.chunked_array([list_array(values).cast(kind(pa.float32()))])
    assert np.array_equal(matrix(column.slice(1)), values[1:])
    assert matrix(column.slice(4)).shape == (0, 0)  # no list tells its length


def test_a_matrix_survives_the_file(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((100, 3), dtype=np.float32)
    path = written(tmp_path / "a.parquet", pa.table({"x": list_array(values)}))
    table = pa.concat_tables([read_table(path), read_table(path)])
    assert table["x"].num_chunks == 2
    assert np.array_equal(matrix(table["x"]), np.concatenate([values, values]))


def test_columns_of_a_transposed_array() -> None:
    values = np.arange(6.0).reshape(2, 3).T
    assert np.array_equal(matrix(pa.chunked_array([list_array(values)])), values)


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        ([[1.0], [1.0, 2.0]], "lists of different lengths: 1, 2"),
        ([[1.0], None], "1 empty value"),
        (pa.array([[1.0], None, None], pa.list_(pa.float32(), 1)), "2 empty values"),
        ([1.0, 2.0], "values of type double instead of lists of numbers"),
        ([["a"], ["b"]], "values of type list<item: string> instead of lists of numbers"),
    ],
)
def test_columns_that_are_no_matrix(column: Any, fault: str) -> None:
    table = pa.table({"logits": column})
    with pytest.raises(UserError) as caught:
        matrix_column(table, "logits", "a.parquet")
    assert str(caught.value) == f"a.parquet: the column 'logits' has {fault}."


def test_wildcards_become_the_first_columns() -> None:
    table = with_columns(TABLE, {"dataset": "digits", "seed": 3})
    assert table.column_names == ["dataset", "seed", "sample", "logits"]
    assert table["dataset"].to_pylist() == ["digits"] * 2
    assert table.schema.field("seed").type == pa.int64()
    empty = with_columns(TABLE.slice(0, 0), {"seed": 3})
    assert empty.schema.field("seed").type == pa.int64()
    assert len(empty) == 0
