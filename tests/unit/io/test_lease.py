"""A lock that reaches from host to host: its holder is waited for while it lives, and not for long if it does not."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from finecal.errors import UserError
from finecal.io import lease
from finecal.io.lease import held_by, hold_lease

FILE = Path("state/run.lease")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lease, "LOOK", 0.02)


def sign(host: str, number: int, seconds_ago: float = 0.0) -> None:
    """A lease of another process."""
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(f"process {number} started at tick 1 on {host}\n")
    os.utime(FILE, (time.time() - seconds_ago,) * 2)


def test_it_is_held_and_leaves_nothing() -> None:
    assert held_by(FILE) == ""
    with hold_lease(FILE, "a run"):
        assert held_by(FILE) == f"process {os.getpid()} on {os.uname().nodename}"
        assert [*FILE.parent.iterdir()] == [FILE]
    assert [*FILE.parent.iterdir()] == []


@pytest.mark.parametrize("host", ["elsewhere", ""])
def test_a_lease_that_is_over_is_taken(host: str) -> None:
    """Of a host that does not renew it, and of a process of this host that has ended, however young."""
    sign(host or os.uname().nodename, 2**22 + 1, seconds_ago=61 if host else 0)
    with hold_lease(FILE, "a run"):
        assert held_by(FILE).startswith(f"process {os.getpid()} ")


def test_another_host_is_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(lease, "LIFETIME", 0.3)
    sign("elsewhere", 7)
    began = time.monotonic()
    with hold_lease(FILE, "a run"):
        assert time.monotonic() - began >= 0.2
        time.sleep(0.4)
        assert held_by(FILE), "it is renewed"
    assert capsys.readouterr().err == "waiting: process 7 on elsewhere is working on a run\n"


def test_a_lost_answer_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS repeats what is not answered: the second time the link is there already, the own one."""
    link = os.link

    def twice(part: Path, path: Path) -> None:
        link(part, path)
        link(part, path)

    monkeypatch.setattr(lease.os, "link", twice)
    with hold_lease(FILE, "a run"):
        assert held_by(FILE).startswith(f"process {os.getpid()} ")


def test_what_was_taken_over_is_left_alone() -> None:
    """This process was stopped for so long that its lease was over."""
    with hold_lease(FILE, "a run"):
        sign("elsewhere", 7)
    assert held_by(FILE) == "process 7 on elsewhere"


def test_a_clock_that_differs_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    sign("elsewhere", 7)
    monkeypatch.setattr(lease, "time", SimpleNamespace(time=lambda: 4e9))
    assert held_by(FILE) == "process 7 on elsewhere"


@pytest.mark.parametrize("call", ["write_text", "link"])
def test_a_full_disk_is_a_sentence(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path if call == "write_text" else os, call, refuse)
    with pytest.raises(UserError, match=r"state/run\.lease: no space left"), hold_lease(FILE, "a run"):
        pass
    assert [*FILE.parent.iterdir()] == []
