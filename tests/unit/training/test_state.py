"""The folder of an unfinished training: one process at a time, gone after success, kept after an error."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import pickle
import random
import time
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

import pytest
import torch

from finecal.errors import UserError
from finecal.io import atomic
from finecal.training import state, state_folder
from finecal.training.state import StateFile, earlier_tries, fingerprint, measure_usage
from finecal.training.state_folder import KEPT, discard_state, lock_state, newest_state

FOLDER = Path("state/digits/run")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Holder:
    """A process that holds the folder until it is told to let go. Forked, since importing torch takes seconds."""

    def __init__(self, name: str) -> None:
        fork = multiprocessing.get_context("fork")
        self.name, (self.pipe, child) = name, fork.Pipe()
        self.process = fork.Process(target=self._hold, args=(child,))
        self.process.start()

    def _hold(self, pipe: Connection) -> None:
        with Path(f"{self.name}.log").open("w", buffering=1) as log, contextlib.redirect_stderr(log):
            with lock_state(FOLDER) as folder:
                (folder / "mine").write_text(self.name)
                pipe.send("in")
                pipe.recv()
                found = (folder / "mine").read_text()
            pipe.send(found)

    def is_inside(self, timeout: float) -> bool:
        return self.pipe.poll(timeout) and self.pipe.recv() == "in"

    def let_go(self) -> None:
        self.pipe.send("let go")
        assert self.pipe.recv() == self.name, "another process was in the folder"
        self.process.join(60)
        assert self.process.exitcode == 0


def test_the_folder_goes_after_success() -> None:
    with lock_state(FOLDER) as folder:
        assert folder == FOLDER
        (folder / "state.pt").write_text("")
    assert not Path("state").exists()


def test_the_folder_stays_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), lock_state(FOLDER) as folder:  # noqa: PT012 - the block is tested
        (folder / "state.pt").write_text("half")
        raise ZeroDivisionError
    with lock_state(FOLDER) as folder:
        assert (folder / "state.pt").read_text() == "half"
    assert not Path("state").exists()


def test_below_snakemake_the_folder_stays_until_the_results_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEPT, "1")
    with lock_state(FOLDER) as folder:
        (folder / "state.pt").write_text("the last step")
    assert (FOLDER / "state.pt").is_file()
    assert newest_state(FOLDER) == (FOLDER / "state.pt").stat().st_mtime
    discard_state(FOLDER)
    assert not Path("state").exists()
    assert newest_state(FOLDER) is None
    discard_state(FOLDER)
    assert not Path("state").exists()


def test_a_state_that_is_used_is_not_discarded() -> None:
    holder = Holder("one")
    try:
        assert holder.is_inside(60)
        discard_state(FOLDER)
        holder.let_go()
    finally:
        holder.process.kill()


def test_a_disk_that_is_full_when_the_folder_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds the lock is not noted in it; where no file can be made, it is a sentence."""
    folder = Path("state/run")

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(state_folder.os, "write", refuse)
    with lock_state(folder) as found:
        assert found.is_dir()
    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(UserError, match="state/run: no space left to write this file"), lock_state(folder):
        pass


def test_a_state_whose_lock_cannot_be_opened_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk, or of another user: Snakemake goes on, and the next one removes it."""
    folder = Path("state/run")
    folder.mkdir(parents=True)
    opened = Path.open
    for number in (errno.ENOSPC, errno.EACCES):

        def refuse(path: Path, *given: Any, number: int = number) -> IO[Any]:
            if path.suffix == ".lock":
                raise OSError(number, os.strerror(number))
            return opened(path, *given)

        monkeypatch.setattr(Path, "open", refuse)
        discard_state(folder)
        assert folder.is_dir()


def test_a_state_whose_lock_somebody_else_has_renewed_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the lock and having it: who had it has removed it, and another process has a new one."""
    folder, lock = Path("state/run"), Path("state/run.lock")
    folder.mkdir(parents=True)
    flock = state_folder.fcntl.flock

    def late(file: IO[str], how: int) -> None:
        lock.unlink()
        lock.touch()
        flock(file, how)

    monkeypatch.setattr(state_folder.fcntl, "flock", late)
    discard_state(folder)
    assert folder.is_dir()
    assert lock.exists()


def test_without_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file system has none, the lease alone keeps a second process away."""

    def refuse(_file: object, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(state_folder.fcntl, "flock", refuse)
    first = Holder("first")
    second = None
    try:
        assert first.is_inside(60)
        second = Holder("second")
        while "waiting: " not in said(second):
            assert not second.is_inside(0.05)
        first.let_go()
        assert second.is_inside(60)
        second.let_go()
    finally:
        for holder in (first, second):
            if holder is not None:
                holder.process.kill()
    assert not Path("state").exists()


def test_the_states_of_others_stay() -> None:
    Path("state/digits/other").mkdir(parents=True)
    with lock_state(FOLDER):
        pass
    assert sorted(p.name for p in Path("state/digits").iterdir()) == ["other"]


def test_processes_wait_for_each_other() -> None:
    """Three at once: one of them waits on a lock file that the one before it has removed."""
    holders = [Holder(str(n)) for n in range(3)]
    try:
        waiting, order = list(holders), []
        while waiting:
            inside = connection.wait([h.pipe for h in waiting], timeout=60)
            holder = next(h for h in waiting if h.pipe in inside)
            assert holder.is_inside(0)
            waiting.remove(holder)
            assert not any(h.is_inside(0.1) for h in waiting)
            holder.let_go()
            order.append(holder.name)
        assert Path(f"{order[0]}.log").read_text() == ""
        said = Path(f"{order[-1]}.log").read_text()
        assert said.startswith("waiting: ")
        assert said.endswith(f" is working on the training whose state is {FOLDER}\n")
    finally:
        for h in holders:
            h.process.kill()
    assert not Path("state").exists()


def test_a_killed_process_does_not_block_the_next() -> None:
    first = Holder("first")
    assert first.is_inside(60)
    first.process.kill()
    first.process.join()
    with lock_state(FOLDER) as folder:
        assert (folder / "mine").read_text() == "first"


def test_a_folder_that_another_host_has_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system shows it here for a while: making it fails since it is there, opening since it is not."""
    make, waited = Path.mkdir, []
    gone = 40

    def mkdir(path: Path, *given: Any, **named: Any) -> None:
        nonlocal gone
        gone -= path == FOLDER.parent
        if gone <= 0 or path != FOLDER.parent:
            make(path, *given, **named)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(atomic.time, "sleep", waited.append)
    with lock_state(FOLDER) as folder:
        assert folder.is_dir()
    assert 10 < sum(waited) < atomic.CACHED


def test_a_removed_lock_that_lives_on_under_another_name_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS, where a file that is removed while a process has it open is renamed."""
    kept = Path("kept")
    kept.mkdir()

    def unlink(path: Path, missing_ok: bool = False) -> None:
        path.rename(kept / f"{len(list(kept.iterdir()))}.{path.name}")

    monkeypatch.setattr(Path, "unlink", unlink)
    first = Holder("first")
    second = third = None
    try:
        assert first.is_inside(60)
        second = Holder("second")
        while "waiting: " not in said(second):
            time.sleep(0.05)
        first.let_go()
        assert second.is_inside(60)
        third = Holder("third")
        while "waiting: " not in said(third):
            assert not third.is_inside(0.05)
        second.let_go()
        assert third.is_inside(60)
        third.let_go()
    finally:
        for holder in (first, second, third):
            if holder is not None:
                holder.process.kill()


def said(holder: Holder) -> str:
    log = Path(f"{holder.name}.log")
    return log.read_text() if log.exists() else ""


# ------------------------------------------------------------------ the state file


def test_a_state_comes_back() -> None:
    file = StateFile(Path("state.pt"), {"lr": 0.1}, interval=60)
    assert file.load() is None
    file.save({"step": 3, "history": [{"loss": float("nan"), "epoch": 0}]})
    found = StateFile(Path("state.pt"), {"lr": 0.1}, interval=60).load()
    assert found is not None
    assert (found["step"], found["history"][0]["epoch"]) == (3, 0)


def test_the_tries_before_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process tells of itself and of those whose state it went on from, in whichever file that is."""
    took: dict[str, float] = {"wall_seconds": 10.0, "cpu_seconds": 7.0, "peak_memory_mib": 300.0}
    monkeypatch.setattr(state, "measure_usage", lambda: took)

    def of_try(*names: str) -> dict[str, object]:
        monkeypatch.setattr(StateFile, "earlier", {})
        for name in names:
            file = StateFile(Path(name), {}, interval=60)
            file.load()
            file.save({})
        return earlier_tries()

    assert of_try("fold0.pt") == {}
    assert of_try("fold0.pt", "fold1.pt") == {"earlier_tries": took}
    took = {"wall_seconds": 5.0, "cpu_seconds": 2.0, "peak_memory_mib": 400.0, "peak_gpu_memory_mib": 50.0}
    assert of_try("fold1.pt")["earlier_tries"] == {"wall_seconds": 20.0, "cpu_seconds": 14.0, "peak_memory_mib": 300.0}
    assert of_try("fold0.pt", "fold1.pt")["earlier_tries"] == {
        "wall_seconds": 25.0, "cpu_seconds": 16.0, "peak_memory_mib": 400.0, "peak_gpu_memory_mib": 50.0,
    }  # fmt: skip


def test_what_this_process_took() -> None:
    found = measure_usage()
    assert set(found) == {"wall_seconds", "cpu_seconds", "peak_memory_mib"}
    assert 50 < found["peak_memory_mib"] < 2**20
    assert found["wall_seconds"] > 0


def test_a_state_of_something_else_is_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    StateFile(Path("state.pt"), {"lr": 0.1}, interval=60).save({"step": 3})
    assert StateFile(Path("state.pt"), {"lr": 0.2}, interval=60).load() is None
    expected = "state.pt belongs to other options, inputs or code; starting from the beginning\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("kind", ["empty", "text", "noise", "truncated", "pickle", "list"])
def test_a_corrupt_state_is_ignored(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("state.pt")
    file = StateFile(path, {}, interval=60)
    file.save({"step": 3, "model": {"w": torch.zeros(100)}})
    noise = random.Random(0).randbytes(500)
    contents = {
        "empty": b"",
        "text": b"hello\n" * 50,
        "noise": noise,
        "truncated": path.read_bytes()[:-200],
        "pickle": pickle.dumps(os.getcwd, protocol=2),  # a function: weights_only must refuse to load it
    }
    if kind == "list":
        torch.save([1, 2], path)
    else:
        path.write_bytes(contents[kind])
    assert file.load() is None
    error = capsys.readouterr().err
    assert error.startswith("state.pt is not readable (")
    assert error.endswith("); starting from the beginning\n")


def test_every_byte_lost_is_noticed_or_does_not_matter(capsys: pytest.CaptureFixture[str]) -> None:
    """A job starts again, and does not fail, however the file is damaged."""
    path = Path("state.pt")
    file = StateFile(path, {}, interval=60)
    file.save({"step": 3})
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.write_bytes(content[:position] + b"\xff" + content[position + 1 :])
        found = file.load()
        assert found is None or isinstance(found, dict)
    capsys.readouterr()


def test_the_fingerprint_depends_on_values_not_on_order() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_save_is_due_after_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    file = StateFile(Path("state.pt"), {}, interval=60)
    assert not file.is_due()
    now = 160.0
    assert file.is_due()
    file.save({"step": 1})
    assert not file.is_due()
    assert StateFile(Path("state.pt"), {}, interval=0).is_due()


def test_what_takes_long_to_save_is_saved_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def slowly(state: object, content: IO[bytes]) -> None:
        now[0] += 10  # seconds

    monkeypatch.setattr(torch, "save", slowly)
    file = StateFile(tmp_path / "state.pt", {}, interval=60)
    file.save({"step": 1})
    now[0] += 299
    assert not file.is_due()
    now[0] += 2
    assert file.is_due()
    file.interval = 0
    file.save({"step": 2})
    assert file.is_due()
