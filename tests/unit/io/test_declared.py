"""Tables are exactly as declared: nothing is cast, left out, filled in or put in another place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finecal import schemas
from finecal.io.declared import conform, from_rows
from finecal.io.list_columns import list_array
from finecal.io.parquet import read_table, with_columns, write_table

SCHEMA = schemas.own_columns(schemas.PSEUDO_LOGITS)
RUN = {"dataset": "d", "task": "a-b", "backbone": "n", "recipe": "full", "split": "half", "seed": 3}


def table(**changes: object) -> pa.Table:
    columns = {
        "fold": pa.array([0, 1], pa.int32()),
        "sample": pa.array([4, 5], pa.int32()),
        "label": pa.array([1, 0], pa.int32()),
        "group": ["absent", "fine_tuning"],
        "logits": list_array(np.ones((2, 3), np.float32)),
    }
    return pa.table({name: value for name, value in {**columns, **changes}.items() if value is not None})


def test_values_stay_and_meanings_are_attached() -> None:
    found = conform(table(), SCHEMA)
    assert found.equals(table())
    assert all(schemas.description(found.field(name)) for name in SCHEMA.names)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (table(fold=[0, 1]), "'fold' is int64 and must be int32"),
        (table(label=None), "'label' is missing and must be int32"),
        (table(more=[1, 2]), "'more' is int64 and must be missing"),
        (table(logits=list_array(np.ones((2, 3)))), r"'logits' is .*double.*3\] and must be .*float.*3\]"),
        (table(logits=pa.array([[1.0], [1.0]], pa.list_(pa.float32()))), "'logits' is list.* without a length"),
        (table().select(["sample", "fold", "label", "group", "logits"]), "the order sample, fold, "),
    ],
)
def test_anything_else_is_refused(changed: pa.Table, words: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=words):
        write_table(tmp_path / "a.parquet", changed, SCHEMA, provenance={})
    assert not list(tmp_path.iterdir())


def test_lists_that_have_no_fixed_length_stay_so() -> None:
    own = schemas.select(schemas.UPDATE_SIMILARITY, "cosine")
    free = pa.table({"cosine": pa.array([[0.5], [0.5, 1]], pa.list_(pa.float32()))})
    assert conform(free, own).equals(free)
    with pytest.raises(TypeError, match="'cosine' is fixed_size_list"):
        conform(pa.table({"cosine": list_array(np.ones((2, 3), np.float32))}), own)


def test_a_file_says_what_its_columns_mean(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, with_columns(table(), RUN), schemas.PSEUDO_LOGITS, provenance={"a": 1})
    for field in pq.read_schema(path):
        assert schemas.description(field) == schemas.description(schemas.PSEUDO_LOGITS.field(field.name))


def test_files_of_earlier_versions_are_read_and_joined(tmp_path: Path) -> None:
    """They do not say what their columns mean."""
    old, new = tmp_path / "old.parquet", tmp_path / "new.parquet"
    pq.write_table(with_columns(table(), RUN).cast(pa.schema([
        pa.field(f.name, f.type) for f in with_columns(table(), RUN).schema
    ])), old)  # fmt: skip
    write_table(new, with_columns(table(), RUN), schemas.PSEUDO_LOGITS, provenance={})
    wanted = schemas.select(schemas.PSEUDO_LOGITS, "fold", "label", "logits")
    assert read_table(old, wanted).equals(read_table(new, wanted))
    assert len(pa.concat_tables([read_table(old), read_table(new)])) == 4


def test_rows_have_all_columns_and_no_other() -> None:
    own = schemas.own_columns(schemas.UPDATE_SIMILARITY_MEANS)
    rows = [{"n": 3, "pairs": "absent", "cosine": None}]
    assert from_rows(rows, own).to_pylist() == [{"pairs": "absent", "cosine": None, "n": 3}]
    assert from_rows([], own) == own.empty_table()
    for wrong in ({"pairs": "absent", "n": 3}, {**rows[0], "more": 1}):
        with pytest.raises(TypeError, match="a row has"):
            from_rows([rows[0], wrong], own)
