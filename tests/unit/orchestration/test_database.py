"""What Snakemake keeps in a database is read as Snakemake writes it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from snakemake.persistence.db import DbPersistence

from finecal.orchestration.database import FILE, begun_in_database, remove_locks_in_database
from finecal.orchestration.lock import release_stale_lock

OUTPUT = "results/digits/images/printed.parquet"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_a_database() -> None:
    assert begun_in_database() == {}
    assert remove_locks_in_database() == 0
    FILE.parent.mkdir()
    FILE.touch()
    assert begun_in_database() == {}
    assert remove_locks_in_database() == 0


def test_jobs_that_have_begun() -> None:
    notes = DbPersistence()
    before = time.time()
    notes._mark_incomplete(OUTPUT, None)
    ((output, began),) = begun_in_database().items()
    assert output == OUTPUT
    assert before <= began <= time.time()
    notes._unmark_incomplete(OUTPUT)
    assert begun_in_database() == {}


def test_the_lock_of_a_snakemake_that_was_killed(capsys: pytest.CaptureFixture[str]) -> None:
    notes = DbPersistence()
    notes._write_locks("output", [OUTPUT])
    release_stale_lock()
    assert [*notes._read_locks()] == []
    assert "the Snakemake that had locked this folder was killed; going on" in capsys.readouterr().err
