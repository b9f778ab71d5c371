"""Snakemake's locks on files, so that they hold where several Snakemakes are at work in one folder.

Snakemake looks whether another one makes the same files, and then notes its own: of two that start together each finds
nothing. When one ends, it removes the folder of all locks, also those of others: a third one would then make what the
second is at work on. So one Snakemake at a time looks and notes, and each removes what it has noted itself.

This module uses names of Snakemake's persistence that are not public; `tests/unit/orchestration/test_turns.py` fails
when an update changes them.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from snakemake.persistence import PersistenceBase
from snakemake.persistence.db import DbPersistence
from snakemake.persistence.file import FilePersistence

from finecal.io.atomic import despite_removal
from finecal.orchestration.database import unlock_in_database
from finecal.orchestration.workers import STATE

TURN = STATE / "locking"
_usual_lock, _usual_read = PersistenceBase.lock, FilePersistence._read_locks
_usual_rows = DbPersistence._write_locks


def keep_locks_of_others() -> None:
    """Let this process, from now on, take Snakemake's locks in turn with others, and remove none but its own."""
    PersistenceBase.lock = _lock
    FilePersistence._read_locks = _read_files
    DbPersistence._write_locks = _write_rows


@contextmanager
def _lock(notes: Any) -> Iterator[None]:
    notes.unlock = lambda: _remove_own(notes)  # Snakemake's own, which removes all, is for `--unlock`
    with ExitStack() as stack:
        with _turn():
            stack.enter_context(_usual_lock(notes))
        yield


@contextmanager
def _turn() -> Iterator[None]:
    """Wait for one's turn. Where the file system has no flock, there is none."""
    with TURN.open("a") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read_files(notes: Any) -> list[tuple[str, str]]:
    """The files that are locked; another Snakemake may remove its locks while they are read."""
    return despite_removal(lambda: list(_usual_read(notes)))


def _write_rows(notes: Any, kind: str, files: Iterable[str]) -> None:
    """Lock files in the database, and remember which."""
    locked = sorted(set(files))
    _usual_rows(notes, kind, locked)
    notes.locked_rows = [*getattr(notes, "locked_rows", []), *((kind, file) for file in locked)]


def _remove_own(notes: Any) -> None:
    if isinstance(notes, DbPersistence):
        unlock_in_database(notes.__dict__.pop("locked_rows", []))
        return
    for file in notes._lockfile.values():
        Path(file).unlink(missing_ok=True)
    notes._lockfile.clear()
