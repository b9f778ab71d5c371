"""The tables of all runs: those of the runs one below the other, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finecal import paths, schemas
from finecal.errors import UserError
from finecal.io.parquet import read_metadata, read_schema, read_table, with_columns, write_parts, write_table
from finecal.io.provenance import sha256
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.stages.aggregate import aggregate

OUT = Path("results/tables/curve.parquet")


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The embedded study in an empty folder: two splits, two seeds."""
    monkeypatch.chdir(tmp_path)
    return Plan(["digits"])


def write_curves(plan: Plan, **more: Any) -> list[Path]:
    """A curve of another length for each run."""
    files = []
    for number, run in enumerate(plan.runs):
        gamma = [float(number * 100 + i) for i in range(3 + number)]
        names = ("acc_s_y", "acc_u_y", "acc_y_y")
        accuracies = dict.fromkeys((*names, *(f"macro_{name}" for name in names)), gamma)
        table = pa.table({"classifier": ["fine_tuned"] * len(gamma), "gamma": gamma, **accuracies})
        files.append(run.folder / paths.CURVE)
        # The last file as earlier versions have written it: without the meanings of its columns.
        schema = None if number == len(plan.runs) - 1 else schemas.CURVE
        write_table(files[-1], with_columns(table, run.columns()), schema, provenance={"of": number})
    return files


def replaced(file: Path, table: pa.Table, provenance: dict[str, Any] | None = None) -> None:
    sha256.cache_clear()
    write_table(file, table, provenance=provenance or {})


@pytest.mark.parametrize("rows", [1, 4, 7, 100])
def test_parts_are_one_table(tmp_path: Path, rows: int) -> None:
    """Groups end inside the parts, at their ends, or hold all of them; a part may be empty."""
    schema = pa.schema([("x", pa.int64())])
    places = ((0, 3), (3, 3), (3, 12), (12, 14))
    parts = (pa.table({"x": list(range(*place))}, schema) for place in places)
    write_parts(tmp_path / "a.parquet", parts, schema, provenance={"a": 1}, rows=rows)
    assert read_table(tmp_path / "a.parquet")["x"].to_pylist() == list(range(14))
    assert read_metadata(tmp_path / "a.parquet") == {"a": 1}
    file = pq.ParquetFile(tmp_path / "a.parquet").metadata
    sizes = [file.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert [size for size in sizes if size] == [rows] * (14 // rows) + [14 % rows] * (14 % rows > 0)
    assert file.row_group(0).column(0).compression == "ZSTD"


def test_no_part_is_an_empty_table(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.int64())])
    write_parts(tmp_path / "a.parquet", [], schema, provenance={})
    assert read_table(tmp_path / "a.parquet", schema) == schema.empty_table()


def test_the_same_bytes_as_in_one_piece(plan: Plan) -> None:
    files = write_curves(plan)
    aggregate(plan, "curve")
    table = pa.concat_tables([read_table(file) for file in files]).replace_schema_metadata(None)
    assert read_schema(OUT).equals(schemas.CURVE, check_metadata=True)
    record = read_metadata(OUT)
    assert record["inputs"] == {str(file): sha256(file) for file in files}
    write_table("in_one_piece.parquet", table, schemas.CURVE, provenance=record)
    assert OUT.read_bytes() == Path("in_one_piece.parquet").read_bytes()
    assert read_table(OUT).replace_schema_metadata(None) == table


def test_fitted_arrays_are_left_out(plan: Plan) -> None:
    for number, run in enumerate(plan.runs):
        row = {"calibrator": "alg", "reads": "train_fine_tuning", "parameter": "gamma", "value": float(number)}
        array = {**row, "calibrator": "ncm", "parameter": "means", "value": None, "values": [1.0, 2.0]}
        table = pa.Table.from_pylist([row, array], schema=schemas.own_columns(schemas.CALIBRATION))
        write_table(run.folder / paths.CALIBRATION, with_columns(table, run.columns()), provenance={})
    aggregate(plan, "calibration")
    table = read_table("results/tables/calibration.parquet")
    assert "values" not in table.column_names
    assert table["value"].to_pylist() == [0.0, 1.0, 2.0, 3.0]
    assert table["calibrator"].to_pylist() == ["alg"] * 4


@pytest.mark.parametrize("old", [False, True])
def test_other_columns_name_the_file_and_leave_nothing(plan: Plan, old: bool) -> None:
    files = write_curves(plan)
    if old:
        aggregate(plan, "curve")
    before = OUT.read_bytes() if old else None
    table = read_table(files[2])
    gamma = table.column_names.index("gamma")
    cases = {
        "'gamma' is int64 and must be double": table.set_column(gamma, "gamma", table["gamma"].cast("int64")),
        "'gamma' is missing and must be double": table.drop_columns(["gamma"]),
        "'more' is double and must be missing": table.append_column("more", table["gamma"]),
        "the columns stand in the order macro_acc_y_y, macro_acc_u_y": table.select(table.column_names[::-1]),
    }
    for why, changed in cases.items():
        replaced(files[2], changed)
        with pytest.raises(UserError) as caught:
            aggregate(plan, "curve")
        said = str(caught.value)
        assert said.startswith(f"{files[2]}: its columns are not those that finecal writes. {why}")
        assert said.endswith("Hint: Delete it, it will be made again.")
        assert [p.name for p in OUT.parent.iterdir()] == (["curve.parquet"] if old else [])
        assert not old or OUT.read_bytes() == before


def test_a_damaged_file_in_the_middle(plan: Plan) -> None:
    files = write_curves(plan)
    files[3].write_bytes(files[3].read_bytes()[:-40])
    with pytest.raises(UserError, match=r"half3/seed0/curve\.parquet: not readable as Parquet"):
        aggregate(plan, "curve")
    assert not list(OUT.parent.iterdir())


def test_a_run_that_is_missing(plan: Plan) -> None:
    files = write_curves(plan)
    files[1].unlink()
    with pytest.raises(UserError, match=r"half1/seed0/curve\.parquet: this file is missing"):
        aggregate(plan, "curve")
    assert not OUT.exists()


@pytest.mark.parametrize("earlier", [paths.CURVE, paths.HISTORY])
def test_no_run_stands_under_options_that_it_was_not_made_with(plan: Plan, earlier: str) -> None:
    """Of the third run, the file itself or its training is of an earlier learning rate."""
    files, identities = write_curves(plan), Identities(plan)
    for number, run in enumerate(plan.runs):
        for name, stage in ((paths.CURVE, "evaluate"), (paths.HISTORY, "finetune")):
            made = identities.of_run(stage, run)
            if (number, name) == (2, earlier):
                made = made._replace(options={**made.options, "training": {"lr": 0.5}})
            table = read_table(files[number]) if name == paths.CURVE else pa.table({"epoch": [0]})
            replaced(run.folder / name, table, made.record())
    with pytest.raises(UserError, match=r"made with other options .* than are selected now\. .*training") as error:
        aggregate(plan, "curve")
    assert error.value.where == str(plan.runs[2].folder / earlier)
    assert not list(OUT.parent.iterdir())


def test_a_disk_that_fills_up(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    write_curves(plan)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", refuse)
    with pytest.raises(UserError, match="no space left to write this file"):
        aggregate(plan, "curve")
    assert not list(OUT.parent.iterdir())
