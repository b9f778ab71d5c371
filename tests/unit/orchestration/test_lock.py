"""Who is at work in a directory: every Snakemake of this host that lives, and none that has ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finecal.io.processes import start_tick
from finecal.orchestration.lock import STATE, at_work

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


def sign(number: int, tick: int | str) -> None:
    STATE.mkdir(exist_ok=True)
    with file().open("a") as lines:
        lines.write(f"process {number} started at tick {tick}\n")


def test_nobody() -> None:
    assert at_work() == []


def test_two_on_one_host_and_the_later_one_ends_first() -> None:
    with worker() as one, worker() as other:
        assert at_work() == [f"process {one.pid}", f"process {other.pid}"]
        leave(other)
        assert at_work() == [f"process {one.pid}"]
        leave(one)
    assert at_work() == []
    assert file().read_text() == ""


def test_the_earlier_one_ends_first() -> None:
    with worker() as one, worker() as other:
        leave(one)
        assert at_work() == [f"process {other.pid}"]
        leave(other)
    assert file().read_text() == ""


def test_one_that_was_killed_is_forgotten() -> None:
    with worker() as one:
        one.kill()
        one.wait()
        assert at_work() == []
        assert str(one.pid) in file().read_text()
        with worker() as other:
            assert at_work() == [f"process {other.pid}"]
            assert str(one.pid) not in file().read_text()


@pytest.mark.skipif(start_tick(os.getpid()) is None, reason="here nothing tells when a process started")
def test_a_number_that_was_given_again_is_another_process() -> None:
    own = os.getpid()
    sign(own, int(start_tick(own) or 0) - 1000)
    assert at_work() == []
    sign(own, start_tick(own) or "")
    assert at_work() == [f"process {own}"]


def test_other_hosts_and_lines_of_no_process() -> None:
    STATE.mkdir()
    (STATE / "at_work.elsewhere").write_text("process 1\n")
    file().write_text("process none\nnothing\n")
    assert at_work() == ["on elsewhere"]
