"""Ask the process of server.py to run a command; as a program, the one given by its arguments."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence

ADDRESS = "FINECAL_FORKS"  # in the environment: the socket that server.py listens on


def run(
    address: str,
    command: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    files: Sequence[int],
    seconds: float | None = None,
) -> int:
    """The exit status of a command that has the files as its input, output and errors.

    A further file is the socket on which a warm process listens (finecal.warm.server). After the seconds nobody waits
    for the command any more, and it is an error.
    """
    request = {"command": command, "folder": folder, "environment": dict(environment)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(seconds)
        connection.connect(address)
        socket.send_fds(connection, [json.dumps(request).encode()], list(files))
        return int(connection.recv(16))


def main() -> int:
    """Run the command; the exit status."""
    command = sys.argv[1:]
    listener = [int(command[4])] if command[3:4] == ["finecal.warm.server"] else []
    return run(os.environ[ADDRESS], command, os.getcwd(), os.environ, (0, 1, 2, *listener))  # noqa: PTH109 - starts fast


if __name__ == "__main__":
    sys.exit(main())
