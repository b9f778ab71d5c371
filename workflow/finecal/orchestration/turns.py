"""Snakemake's locks on files, so that they hold where several Snakemakes are at work in one folder.

Snakemake looks whether another one makes the same files, and then notes its own: of two that start together each finds
nothing. When one ends, it removes the folder of all locks, also those of others: a third one would then make what the
second is at work on. So one Snakemake at a time looks and notes, and each removes what it has noted itself.

This module uses names of Snakemake's persistence that are not public; `tests/unit/orchestration/test_turns.py` fails
when an update changes them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from snakemake.persistence import PersistenceBase
from snakemake.persistence.db import DbPersistence
from snakemake.persistence.file import FilePersistence

from finecal.io.atomic import as_user_error, despite_removal
from finecal.io.parts import numbering
from finecal.io.processes import is_alive, start_tick
from finecal.orchestration.database import unlock_in_database
from finecal.orchestration.inputs import or_stop
from finecal.orchestration.workers import STATE

TURN = STATE / "locking"
LOCKS = STATE / "locks"
LARGEST = 2**20  # bytes of that file
_usual_lock, _usual_read = PersistenceBase.lock, FilePersistence._read_locks
_usual_rows = DbPersistence._write_locks


def keep_locks_of_others() -> None:
    """Let this process, from now on, take Snakemake's locks in turn with others, and remove none but its own."""
    PersistenceBase.lock = _lock
    FilePersistence._read_locks = _read_files
    DbPersistence._write_locks = _write_rows


class Owner(NamedTuple):
    """A file of locks, and the process that has made it."""

    name: str
    numbering: str
    process: str
    tick: str
    end: str  # so that a line that was cut off on a full disk is none

    @property
    def is_dead(self) -> bool:
        """Whether the process has ended, as far as can be known here."""
        tick = int(self.tick) if self.tick.isdecimal() else None
        return self.numbering == numbering() and not is_alive(int(self.process), tick)


@contextmanager
def _lock(notes: Any) -> Iterator[None]:
    notes.unlock = lambda: _remove_own(notes)  # Snakemake's own, which removes all, is for `--unlock`
    with ExitStack() as stack:
        with _turn() as owners:
            try:
                _remove_of_dead(owners)
                stack.enter_context(_usual_lock(notes))
            except OSError as error:
                _stop(error)
            _sign(owners, notes)
        yield


def _stop(error: OSError) -> NoReturn:
    """End Snakemake with a sentence, where the folder of the locks cannot be written."""

    def refuse() -> NoReturn:
        raise as_user_error(error, LOCKS) from error

    or_stop(refuse)
    raise error


@contextmanager
def _turn() -> Iterator[int]:
    """Wait for one's turn; the open file that says whose the locks are. Without flock there are no turns.

    Where nothing can be written, nothing is made, and nothing is locked.
    """
    try:
        file, is_shared = os.open(TURN, os.O_RDWR | os.O_CREAT, 0o666), True
    except OSError:
        file, is_shared = os.open(os.devnull, os.O_RDWR), False
    try:
        with suppress(OSError):
            if is_shared:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _remove_of_dead(owners: int) -> None:
    for one in _read(owners):
        if one.is_dead:
            (LOCKS / one.name).unlink(missing_ok=True)


def _sign(owners: int, notes: Any) -> None:
    """Write which files are of this process, and keep what is said of others that are there."""
    if isinstance(notes, DbPersistence):
        return
    names = [Path(file).name for file in notes._lockfile.values()]
    own = [Owner(name, numbering(), str(os.getpid()), str(start_tick(os.getpid())), ".") for name in names]
    others = [one for one in _read(owners) if one.name not in names and (LOCKS / one.name).exists()]
    with suppress(OSError):  # a full disk: then those of this one stay if it is killed
        os.ftruncate(owners, 0)
        os.pwrite(owners, "".join(f"{' '.join(one)}\n" for one in [*others, *own]).encode(), 0)


def _read(owners: int) -> list[Owner]:
    lines = os.pread(owners, LARGEST, 0).decode("utf-8", "replace").splitlines()
    found = [Owner(*words) for line in lines if len(words := line.split()) == len(Owner._fields)]
    return [one for one in found if one.process.isdecimal() and "/" not in one.name]


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
        with suppress(OSError):  # where it stays, it is known as that of a dead process
            Path(file).unlink()
    notes._lockfile.clear()
