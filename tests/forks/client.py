"""Ask the process of server.py to run a command; as a program, the one given by its arguments."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence

ADDRESS = "FINECAL_FORKS"  # in the environment: the socket that server.py listens on


def ask(
    address: str, command: Sequence[str], folder: str, environment: Mapping[str, str], files: Sequence[int]
) -> socket.socket:
    """Start a command that has the files as its input, output and errors; its exit status comes from the socket.

    A further file is the socket on which a warm process listens (finecal.warm.server). If the socket is closed before,
    the command is killed.
    """
    request = {"command": command, "folder": folder, "environment": dict(environment)}
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(address)
    socket.send_fds(connection, [json.dumps(request).encode()], list(files))
    return connection


def main() -> int:
    """Run the command; the exit status."""
    command = sys.argv[1:]
    listener = [int(command[4])] if command[3:4] == ["finecal.warm.server"] else []
    files = (0, 1, 2, *listener)
    return int(ask(os.environ[ADDRESS], command, os.getcwd(), os.environ, files).recv(16))  # noqa: PTH109 - starts fast


if __name__ == "__main__":
    sys.exit(main())
