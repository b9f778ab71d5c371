"""What a client is told of its fork, whatever is killed between the fork and the answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import finecal
from finecal.warm import client

FINECAL = Path(finecal.__file__).parents[1]
# A fork whose warm process is gone at once: this process tells its client nothing.
FORKS = """
import os, socket, sys
from finecal.warm import fork
from finecal.warm.client import encode
here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
request = encode(os.fsencode(os.getcwd()), 0o22, b"", [b"--version"], dict(os.environb))
pid = os.fork()
if not pid:
    here.close()
    fork.become(there, request, [os.dup(0), os.dup(1), os.dup(2)], 0, frozenset())
there.close()
print(here.recv(32) == b"%d" % pid, here.recv(32))
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """The socket of a warm process that answers what a list has, and ends."""
    answers: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(client.LARGEST)
                for one in answers:
                    connection.send(one)

        thread = threading.Thread(target=answer)
        thread.start()
        yield str(tmp_path / "socket"), answers
        thread.join()


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    numbers = (*client.PASSED_ON, signal.SIGTSTP)
    before = {number: signal.getsignal(number) for number in numbers}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("answers", "status"),
    [([b"%d" % os.getpid(), b"exit 0"], 0), ([b"exit 3"], 3), ([b"exit 0"], 0)],
    ids=["as ever", "fork ended before it said its number", "the same, and all is well"],
)
def test_answers(
    address: tuple[str, list[bytes]], answers: list[bytes], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    address[1].extend(answers)
    monkeypatch.setattr(client, "has_other_files", lambda: False)  # pytest has
    monkeypatch.setattr(sys, "argv", ["client.py", address[0], "/no/finecal", "check"])
    assert client.main() == status


def test_a_fork_that_was_killed_at_once(
    address: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address[1].append(b"signal 9")
    done = subprocess.run(
        [sys.executable, "-IS", client.__file__, address[0], "/no/finecal"], check=False, capture_output=True
    )
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, b"")


def test_the_warm_process_is_killed_before_it_can_say_anything() -> None:
    """The fork says its number itself, so that signals reach it, and then how it ends."""
    environment = {**os.environ, "PYTHONPATH": str(FINECAL)}
    done = subprocess.run([sys.executable, "-c", FORKS], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "True b'exit 0'", done.stdout + done.stderr


def test_ctrl_c_before_the_work_begins() -> None:
    """It has waited while the fork was made; the end is that of a command that is interrupted later."""
    interrupted = f"""
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
from finecal.warm import fork
usual = fork._take_over
def take_over(*given):
    usual(*given)
    signal.raise_signal(signal.SIGINT)
fork._take_over = take_over
{FORKS}
"""
    environment = {**os.environ, "PYTHONPATH": str(FINECAL)}
    done = subprocess.run(
        [sys.executable, "-c", interrupted], env=environment, check=True, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("True b'exit 130'\n", "")


@pytest.mark.parametrize("module", ["_tell", "_status", "finish"])
def test_told_to_end_once_more_while_it_ends(module: str) -> None:
    """By SLURM and by its client: what came first counts."""
    told = f"""
import signal, sys, threading
from finecal.warm import fork
def end(*_):
    sys.exit(9)
usual, calls = fork.{module}, []
def interrupted(*given):
    if not calls:
        calls.append(1)
        signal.raise_signal(signal.SIGTERM)
    return usual(*given)
fork.{module} = interrupted
signal.signal(signal.SIGTERM, end)
def main():
    sys.exit(7)
import finecal.cli
finecal.cli.main = main
{FORKS}
"""
    environment = {**os.environ, "PYTHONPATH": str(FINECAL)}
    done = subprocess.run([sys.executable, "-c", told], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "True b'exit 7'", done.stdout + done.stderr
