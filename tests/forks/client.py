"""Ask the process of server.py to run a command; as a program, `finecal` with the arguments given."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence

ADDRESS = "FINECAL_FORKS"  # in the environment: the socket that server.py listens on


def run(
    address: str, command: Sequence[str], folder: str, environment: Mapping[str, str], files: Sequence[int] = (0, 1, 2)
) -> int:
    """The exit status of a command that has the files as its input, output and errors."""
    request = {"command": command, "folder": folder, "environment": dict(environment)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps(request).encode()], list(files))
        return int(connection.recv(16))


if __name__ == "__main__":
    sys.exit(run(os.environ[ADDRESS], ["finecal", *sys.argv[1:]], os.getcwd(), os.environ))  # noqa: PTH109 - starts fast
