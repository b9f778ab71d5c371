"""Ask the process of server.py to run a command; as a program, the one given by its arguments."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence

ADDRESS = "FINECAL_FORKS"  # in the environment: the socket that server.py listens on
SURROUNDINGS = "FINECAL_SURROUNDINGS"  # in that of a warm process: finecal.warm.client.surroundings


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
    command, environment = sys.argv[1:], dict(os.environ)
    listener = [int(command[4])] if command[3:4] == ["finecal.warm.server"] else []
    if listener:
        environment[SURROUNDINGS] = _surroundings().hex()
    files = (0, 1, 2, *listener)
    return int(ask(os.environ[ADDRESS], command, os.getcwd(), environment, files).recv(16))  # noqa: PTH109 - starts fast


def _surroundings() -> bytes:
    """Those of this process: a warm process that SLURM starts has the limits of its job, as those that ask it have."""
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../workflow/finecal/warm"))  # noqa: PTH118, PTH120
    import client

    found: bytes = client.surroundings()
    return found


if __name__ == "__main__":
    sys.exit(main())
