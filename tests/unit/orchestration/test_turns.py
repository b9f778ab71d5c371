"""Several Snakemakes in one folder: whoever makes the same files is refused, whichever of the others begins or ends."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from snakemake.exceptions import LockException
from snakemake.persistence import PersistenceBase, file
from snakemake.persistence.db import DbPersistence
from snakemake.persistence.file import FilePersistence

from finecal.io.parts import numbering
from finecal.orchestration import turns
from finecal.orchestration.turns import keep_locks_of_others


class Notes:
    """Those of one Snakemake that makes some files from others."""

    def __init__(self, kind: type[PersistenceBase], made: list[str], read: list[str]) -> None:
        self.notes: Any = kind()
        self.notes.all_outputfiles = lambda: iter(made)
        self.notes.all_inputfiles = lambda: iter(read)


@pytest.fixture(autouse=True)
def _in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, name in ((PersistenceBase, "lock"), (FilePersistence, "_read_locks"), (DbPersistence, "_write_locks")):
        monkeypatch.setattr(kind, name, getattr(kind, name))  # put back afterwards
    keep_locks_of_others()


@pytest.fixture(params=[FilePersistence, DbPersistence])
def kind(request: pytest.FixtureRequest) -> type[PersistenceBase]:
    chosen: type[PersistenceBase] = request.param
    return chosen


def test_who_ends_removes_its_own_locks_alone(kind: type[PersistenceBase]) -> None:
    first, second, third = (Notes(kind, [made], ["data"]).notes for made in ("table", "figure", "figure"))
    second.all_inputfiles = third.all_inputfiles = lambda: iter(["other data"])
    with second.lock():
        with first.lock():
            pass
        with pytest.raises(LockException), third.lock():
            pass
        with pytest.raises(LockException), third.lock():  # being refused takes nothing away either
            pass
    with third.lock():
        pass
    assert [*second._read_locks()] == []


def test_nothing_to_lock_removes_nothing(kind: type[PersistenceBase]) -> None:
    nothing, second, third = (Notes(kind, made, []).notes for made in ([], ["figure"], ["figure"]))
    with second.lock():
        with nothing.lock():
            pass
        with pytest.raises(LockException), third.lock():
            pass


def test_unlock_removes_all(kind: type[PersistenceBase]) -> None:
    with Notes(kind, ["table"], []).notes.lock():
        Notes(kind, [], []).notes.cleanup_locks()
        assert [*Notes(kind, [], []).notes._read_locks()] == []


def test_of_two_that_begin_together_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is slow between its look and its own lock."""
    usual = FilePersistence._write_locks

    def slowly(notes: Any, *given: Any) -> None:
        time.sleep(0.05)
        usual(notes, *given)

    monkeypatch.setattr(FilePersistence, "_write_locks", slowly)
    both = [Notes(FilePersistence, ["table"], ["data"]).notes for _ in range(2)]
    refused: list[LockException] = []
    with ExitStack() as stack:

        def begin(notes: Any) -> None:
            try:
                stack.enter_context(notes.lock())
            except LockException as error:
                refused.append(error)

        threads = [threading.Thread(target=begin, args=(notes,)) for notes in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1


def test_locks_that_are_removed_while_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (Notes(FilePersistence, [made], []).notes for made in ("table", "figure"))
    with ExitStack() as stack:
        stack.enter_context(first.lock())
        listed = file.listfiles

        def then_removed(pattern: str) -> Any:
            found = list(listed(pattern))
            stack.close()
            return found

        monkeypatch.setattr(file, "listfiles", then_removed)
        with second.lock():
            assert [*second._read_locks()] == [("output", "figure")]


KILLED = """
import os, signal
from snakemake.persistence.file import FilePersistence
from finecal.orchestration.turns import keep_locks_of_others
keep_locks_of_others()
notes = FilePersistence()
notes.all_outputfiles, notes.all_inputfiles = lambda: iter(["table"]), lambda: iter(["data"])
with notes.lock():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_locks_of_one_that_was_killed_beside_another() -> None:
    """It can be started again while the other one lives, whose locks stay."""
    other, again, third = (Notes(FilePersistence, [made], ["data"]).notes for made in ("figure", "table", "figure"))
    with other.lock():
        killed = subprocess.run([sys.executable, "-c", KILLED], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert ("output", "table") in [*other._read_locks()]
        with again.lock(), pytest.raises(LockException), third.lock():
            pass
        assert [*other._read_locks()] == [("input", "data"), ("output", "figure")]


def test_what_is_said_of_owners_is_damaged() -> None:
    """A line that was cut off, or whatever somebody has written there, takes no lock away."""
    first, second = (Notes(FilePersistence, ["table"], []).notes for _ in range(2))
    with first.lock():
        for line in (f"0.output.lock {numbering()} {2**22 + 1}", "../../x a 1 2 .", "0.output.lock x y z .", "\xff"):
            turns.TURN.write_text(line)
            with pytest.raises(LockException), second.lock():
                pass
        turns.TURN.write_text(f"0.output.lock {numbering()} {2**22 + 1} None .")
        with second.lock():
            pass


def test_where_nothing_can_be_written_nothing_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a finished study that lies on a file system that is read-only."""
    monkeypatch.setattr(turns, "TURN", Path("no/such/folder/locking"))
    with Notes(FilePersistence, [], []).notes.lock():
        assert [*Path(".snakemake/locks").iterdir()] == []


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EROFS, "cannot be written (Read-only file system)"), (errno.ENOSPC, "no space left")]
)
def test_a_lock_that_cannot_be_written(
    number: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = Notes(FilePersistence, ["table"], []).notes

    def refuse(*_: object) -> None:
        notes._lockfile["output"] = ".snakemake/locks/0.output.lock"
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(notes, "_write_locks", refuse)
    with pytest.raises(SystemExit, match="2"), notes.lock():
        pass
    assert capsys.readouterr().err.startswith(f"finecal: .snakemake/locks: {said}")
