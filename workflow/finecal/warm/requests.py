"""What clients ask the warm process for, and how it arrives: from a client itself, or by way of the first process."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from finecal.warm.client import LARGEST

PATIENCE = 10.0  # seconds for a client to say what it wants once it is connected


class Request(NamedTuple):
    """What a client has asked for, its connection, and its input, output and errors; no files, no request."""

    asked: bytes
    connection: socket.socket
    files: Sequence[int]


def from_client(listener: socket.socket) -> Request:
    """Wait until a client that has connected says what it wants; it may say nothing."""
    connection, _ = listener.accept()
    connection.settimeout(PATIENCE)
    asked: bytes = b""
    files: list[int] = []
    with suppress(OSError):
        asked, files, _, _ = socket.recv_fds(connection, LARGEST, 3)
    connection.settimeout(None)
    return Request(asked, connection, files)


def from_first(way: socket.socket) -> Request | None:
    """Receive what the first process hands over; None if it has ended."""
    asked: bytes = b""
    files: list[int] = []
    with suppress(ConnectionResetError):  # it was killed before it had read all
        asked, files, _, _ = socket.recv_fds(way, LARGEST, 4)
    return Request(asked, socket.socket(fileno=files[0]), files[1:]) if files else None
