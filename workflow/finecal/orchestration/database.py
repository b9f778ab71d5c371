"""Snakemake's notes where they are in a database (`--persistence-backend db`), read without Snakemake.

Its import takes a second, and it waits for whoever writes. The names of tables and columns are its own;
`tests/unit/orchestration/test_database.py` fails when an update changes them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from finecal.errors import UserError

SNAKEMAKE = Path(".snakemake")
FILE = SNAKEMAKE / "metadata.db"
PATIENCE = 10  # seconds to wait for a Snakemake that writes


def begun_in_database() -> dict[str, float]:
    """Return output → when Snakemake began its job, for all jobs whose end it has not seen."""
    query = "SELECT target, starttime FROM snakemake_metadata WHERE namespace = ? AND incomplete"
    with _opened("ro") as database:
        return dict(_rows(database, query)) if database is not None else {}


def remove_locks_in_database() -> int:
    """Remove the locks on the working directory; how many there were."""
    with _opened("rw") as database:
        if database is None:
            return 0
        with database:
            return len(_rows(database, "DELETE FROM snakemake_locks WHERE namespace = ? RETURNING file_path"))


def unlock_in_database(locked: Iterable[tuple[str, str]]) -> None:
    """Remove some locks on files of the working directory, each of which is its kind and the file."""
    with _opened("rw") as database:
        if database is None:
            return
        query = "DELETE FROM snakemake_locks WHERE namespace = ? AND lock_type = ? AND file_path = ?"
        with database:
            database.executemany(query, ((_namespace(), *one) for one in locked))


@contextmanager
def _opened(mode: str) -> Iterator[sqlite3.Connection | None]:
    """Open the database; None where there is none.

    Raises
    ------
    UserError
        If it is damaged, or another process does not let go of it.
    """
    if not FILE.is_file():
        yield None
        return
    try:
        with closing(sqlite3.connect(f"{FILE.absolute().as_uri()}?mode={mode}", uri=True, timeout=PATIENCE)) as opened:
            yield opened
    except sqlite3.DatabaseError as error:
        is_held = isinstance(error, sqlite3.OperationalError)
        raise UserError(
            f"Snakemake's notes cannot be read ({error})", where=str(FILE),
            hint="Is a Snakemake stopped here (Ctrl-Z), or is the disk full or read-only?" if is_held else
            "Delete it: the notes are written anew from the results, and nothing is made again",
        ) from error  # fmt: skip


def _rows(database: sqlite3.Connection, query: str) -> list[Any]:
    """The rows of a query on this working directory; none while Snakemake has not made the table."""
    try:
        return database.execute(query, [_namespace()]).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return []
        raise


def _namespace() -> str:
    return os.path.abspath(SNAKEMAKE)  # noqa: PTH100 - as Snakemake does
