"""Which processes count as alive."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from finecal.io.processes import is_alive, start_tick

TICK = start_tick(os.getpid())


def test_this_process_and_one_that_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_alive(process.pid)
    assert not is_alive(process.pid)
    assert is_alive(os.getpid())


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()  # until its end
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(process.pid)


@pytest.mark.parametrize("number", [4194305, 10**9, 10**30])
def test_no_process_has_so_high_a_number(number: int) -> None:
    assert not is_alive(number)


@pytest.mark.skipif(TICK is None, reason="here nothing tells when a process started")
def test_a_number_that_was_given_again_is_another_process() -> None:
    assert is_alive(os.getpid(), TICK)
    assert not is_alive(os.getpid(), (TICK or 0) - 1)


@pytest.mark.parametrize(("answer", "alive"), [(PermissionError, True), (ProcessLookupError, False)])
def test_one_that_the_system_hides(answer: type[OSError], alive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With /proc mounted with `hidepid`, processes of others are not listed, but they refuse signals."""

    def nothing(number: int) -> None:
        raise psutil.NoSuchProcess(number)

    def answered(number: int, signal: int) -> None:
        raise answer

    monkeypatch.setattr(psutil, "Process", nothing)
    monkeypatch.setattr(os, "kill", answered)
    assert is_alive(4194305) == alive


def test_one_that_may_not_be_looked_at_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(number: int) -> None:
        raise psutil.AccessDenied(number)

    monkeypatch.setattr(psutil, "Process", refused)
    assert is_alive(os.getpid())
