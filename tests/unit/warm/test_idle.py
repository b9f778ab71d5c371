"""What no command has asked for yet is imported while the cores have nothing else to do, torch before all else."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from finecal.warm import server
from finecal.warm.freshness import Code
from finecal.warm.requests import from_client, from_first
from finecal.warm.server import COMPLETE, Begun, Server

BEGUN = Begun(Code({}, {}, {}), {}, b"", frozenset())


class Modules:
    """Those of some commands."""

    def __init__(self, number: int) -> None:
        self.number = number

    @property
    def complete(self) -> bool:
        return not self.number

    def import_next(self) -> None:
        self.number -= 1


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Those of the way between the two processes: of the first, of the second."""
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with first, second:
        yield first, second


def of_first(second: socket.socket) -> Any:
    with socket.socket() as listener:
        found: Any = Server(listener, from_client, [], BEGUN, second)
    found._libraries = Modules(2)
    return found


def test_the_second_says_once_that_it_is_ready(ends: tuple[socket.socket, socket.socket]) -> None:
    first, second = ends
    found: Any = Server(second, from_first, [], BEGUN)
    found._libraries = Modules(1)
    found._tell_first()
    first.setblocking(False)
    with pytest.raises(BlockingIOError):
        first.recv(32)
    found._libraries.import_next()
    found._tell_first()
    found._tell_first()
    assert first.recv(32) == COMPLETE
    with pytest.raises(BlockingIOError):
        first.recv(32)


def test_the_second_does_not_wait_for_its_jobs(ends: tuple[socket.socket, socket.socket]) -> None:
    """Each needs torch, and the one that comes next would wait for it."""
    found: Any = Server(ends[1], from_first, [], BEGUN)
    found._libraries = Modules(1)
    found._running = dict.fromkeys(range(1000))
    assert found._has_time()


def test_the_first_waits_for_the_second_and_for_its_jobs(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    found = of_first(ends[0])
    assert not found._has_time()
    found._second_imports = False
    assert found._has_time()
    found._running = {1: None, 2: None}
    assert not found._has_time()
    found._libraries = Modules(0)
    found._running = {}
    assert not found._has_time()


@pytest.mark.parametrize("has_ended", [False, True], ids=["it is ready", "it has ended"])
def test_the_first_imports_the_rest_after_the_second(
    has_ended: bool, ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    first, second = ends
    reading, writing = os.pipe()
    with open(reading) as stdin, socket.socket() as listener:  # noqa: PTH123 - a number
        monkeypatch.setattr(server.sys, "stdin", stdin)
        monkeypatch.setattr(server.signal, "set_wakeup_fd", lambda *_, **__: -1)
        monkeypatch.setattr(server.signal, "signal", lambda *_: None)
        found: Any = Server(listener, from_client, [], BEGUN, first)
        found._libraries = Modules(3)
        found._tell_first = lambda: os.close(writing) if not found._libraries.number else None
        if has_ended:
            second.close()
        else:
            second.send(COMPLETE)
        listener.listen()
        found.serve()
    assert not found._libraries.number
