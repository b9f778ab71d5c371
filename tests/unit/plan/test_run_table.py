"""The table of what each run is."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from finecal import paths, schemas
from finecal.plan.plan import Plan
from finecal.plan.run_table import digest
from finecal.stages.prepare import prepare
from finecal.stages.run_table import run_table
from finecal.stages.split import split

STUDY = {
    "extends": "digits",
    "datasets": {"digits": {"options": {"per_class": 10}}},
    "recipes": {"full": None, "adam": {"recipe": "full", "training": {"optimizer": "adam", "lr": 0.001}}},
    "splits": {"three": {"kind": "random", "count": 3, "seed": 4}, "two": {"kind": "classes", "fine_tuning": [1, 2]}},
    "seeds": [0],
}


def test_rows_say_what_runs_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(yaml.safe_dump(STUDY))
    plan = Plan(["mine.yaml"])
    prepare(plan, "digits", "printed")
    for name in ("three", "two"):
        split(plan, "digits", name)
    run_table(plan)
    table = pq.read_table("results/tables/runs.parquet")
    assert table.schema == schemas.RUNS
    rows = {(row["recipe"], row["split"]): row for row in table.to_pylist()}
    assert len(rows) == table.num_rows == len(plan.runs) == 4
    assert {name: rows["adam", "three"][name] for name in ("built_in_recipe", "optimizer", "lr", "weight_decay")} == {
        "built_in_recipe": "full",
        "optimizer": "adam",
        "lr": 0.001,
        "weight_decay": 5e-4,
    }
    assert rows["full", "three"]["lr"] == 0.03
    sizes = ("split_kind", "split_seed", "n_fine_tuning", "n_absent")
    assert tuple(rows["full", "three"][name] for name in sizes) == ("random", 4, 3, 7)
    assert tuple(rows["full", "two"][name] for name in sizes) == ("classes", None, 2, 8)
    assert rows["full", "two"]["model"] == "test_resnet"
    assert {paths.ALL_CLASSES} & {row["split"] for row in table.to_pylist()} == set()


def test_the_digest_changes_with_what_the_table_says(tmp_path: Path) -> None:
    found = set()
    for lr in (0.001, 0.002):
        file = tmp_path / f"lr{lr}.yaml"
        file.write_text(yaml.safe_dump({**STUDY, "recipes": {"full": {"training": {"lr": lr}}}}))
        found.add(digest(Plan([str(file)])))
    assert len(found) == 2
