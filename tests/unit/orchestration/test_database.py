"""What Snakemake keeps in a database is read as Snakemake writes it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from snakemake.persistence.db import DbPersistence

from finecal.errors import UserError
from finecal.orchestration import database
from finecal.orchestration.database import FILE, begun_in_database, remove_locks_in_database, unlock_in_database
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


def test_a_database_that_another_process_does_not_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    DbPersistence()._write_locks("output", [OUTPUT])
    monkeypatch.setattr(database, "PATIENCE", 0.01)
    with closing(sqlite3.connect(FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for look in (begun_in_database, remove_locks_in_database, partial(unlock_in_database, [("output", OUTPUT)])):
            with pytest.raises(UserError, match=r"notes cannot be read \(database is locked\)\. Hint: Is a Snakemake"):
                look()


def test_a_damaged_database() -> None:
    FILE.parent.mkdir()
    FILE.write_bytes(b"no database, whatever its name says. " * 100)
    for look in (begun_in_database, remove_locks_in_database, release_stale_lock):
        with pytest.raises(UserError, match=r"\(file is not a database\)\. Hint: Delete it: the notes"):
            look()
