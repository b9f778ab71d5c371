"""Who is at work in a directory: every Snakemake of this host that lives, and none that has ended."""

from __future__ import annotations

import atexit
import getpass
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from snakemake.exceptions import LockException

from finecal.errors import UserError
from finecal.io.processes import start_tick
from finecal.orchestration import lock, workers
from finecal.orchestration.workers import STATE, at_work

WORKER = (
    "from finecal.orchestration.lock import release_stale_lock as start; start(); print('here', flush=True); input()"
)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@contextmanager
def worker() -> Iterator[subprocess.Popen[str]]:
    """A process that is at work here until its input ends."""
    command = [sys.executable, "-c", WORKER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        try:
            yield process
        finally:
            process.kill()


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def file() -> Path:
    return STATE / f"at_work.{socket.gethostname()}"


def seen() -> list[int]:
    """The processes of this host and user that are at work."""
    found = at_work()
    assert {(one.host, one.user) for one in found} <= {(socket.gethostname(), getpass.getuser())} | {
        (socket.gethostname(), "")
    }
    return [int(one.process) for one in found]


def sign(number: int, tick: int | str) -> None:
    STATE.mkdir(exist_ok=True)
    with file().open("a") as lines:
        lines.write(f"process {number} started at tick {tick}\n")


def test_nobody() -> None:
    assert at_work() == []


def test_two_on_one_host_and_the_later_one_ends_first() -> None:
    with worker() as one, worker() as other:
        assert seen() == [one.pid, other.pid]
        leave(other)
        assert seen() == [one.pid]
        leave(one)
    assert at_work() == []
    assert file().read_text() == ""


def test_the_earlier_one_ends_first() -> None:
    with worker() as one, worker() as other:
        leave(one)
        assert seen() == [other.pid]
        leave(other)
    assert file().read_text() == ""


def test_one_that_was_killed_is_forgotten() -> None:
    with worker() as one:
        one.kill()
        one.wait()
        assert at_work() == []
        assert str(one.pid) in file().read_text()
        with worker() as other:
            assert seen() == [other.pid]
            assert str(one.pid) not in file().read_text()


@pytest.mark.skipif(start_tick(os.getpid()) is None, reason="here nothing tells when a process started")
def test_a_number_that_was_given_again_is_another_process() -> None:
    own = os.getpid()
    sign(own, int(start_tick(own) or 0) - 1000)
    assert at_work() == []
    sign(own, start_tick(own) or "")
    assert seen() == [own]


def test_other_hosts_and_lines_of_no_process() -> None:
    STATE.mkdir()
    (STATE / "at_work.elsewhere").write_text("process 1\n")
    file().write_text("process none\nnothing\n")
    (one,) = at_work()
    assert (one.host, one.process, one.user) == ("elsewhere", "1", "")


def test_it_is_said_who_locks_and_whether_that_host_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence, in place of Snakemake's own, which names nobody."""
    workers.explain_lock_errors()
    with worker() as one:
        said = str(LockException())
        who = f"{getpass.getuser()} on {socket.gethostname()}, process {one.pid}, last sign of life "
        assert f"another Snakemake makes the same files in {Path.cwd()}: {who}" in said
        assert said.endswith("Start again when it has ended.")
    (STATE / "at_work.login2").write_text("process 7 started at tick 1 by anna\n")
    os.utime(STATE / "at_work.login2", (0, time.time() - 7200))
    for there, advice in ((True, "login2 answers"), (False, "login2 does not answer. If it is dead, delete")):
        monkeypatch.setattr(workers, "answers", lambda _, there=there: there)
        assert "anna on login2, process 7, last sign of life 2.0 h ago" in str(LockException())
        assert advice in str(LockException())


def test_a_host_answers_if_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, but it does not listen
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(workers, "SSH", taken.getsockname()[1])
        assert workers.answers("127.0.0.1")
    assert not workers.answers("no-such-host.invalid")


def test_a_folder_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(os, "getuid", lambda: -1)
    owner = Path.cwd().owner()
    with pytest.raises(UserError, match=rf"It belongs to {owner}. Hint: To share it, {owner} says `chmod"):
        lock.release_stale_lock()


def test_files_that_somebody_removes_while_they_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As people are told to do with those of a dead host, and as another Snakemake does."""
    STATE.mkdir()
    (STATE / "at_work.elsewhere").symlink_to("gone")  # is listed, and not there when it is looked at
    glob = Path.glob

    def with_one_that_goes(path: Path, pattern: str) -> list[Path]:
        return [*glob(path, pattern), *([STATE / "locks" / "0.input.lock"] if pattern.startswith("locks") else [])]

    monkeypatch.setattr(Path, "glob", with_one_that_goes)
    assert at_work() == []
    lock.release_stale_lock()
    try:
        assert seen() == [os.getpid()]
    finally:
        assert lock._held is not None
        lock._end(lock._held)
        atexit.unregister(lock._end)
        monkeypatch.setattr(lock, "_held", None)


def test_a_folder_that_is_gone_when_its_owner_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path == Path("state") or exists(path))
    assert str(workers.not_writable_error(Path("state"))).startswith("state: the folder 'state' cannot be written")
