"""Ask the process of forks.py to run a command; as a program, `finecal` with the arguments given."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ADDRESS = "FINECAL_FORKS"  # in the environment: the socket that forks.py listens on


def run(
    address: str, command: Sequence[str], folder: str, environment: Mapping[str, str], files: Sequence[int] = (0, 1, 2)
) -> int:
    """The exit status of a command that has the files as its input, output and errors."""
    request = {"command": command, "folder": folder, "environment": dict(environment)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps(request).encode()], list(files))
        return int(connection.recv(16))


def write_program(folder: Path) -> None:
    """Write the program `finecal` into a folder: first on the PATH of a Snakemake, it runs all jobs in forks."""
    program = folder / "finecal"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -SE "{Path(__file__)}" "$@"\n')
    program.chmod(0o755)


if __name__ == "__main__":
    sys.exit(run(os.environ[ADDRESS], ["finecal", *sys.argv[1:]], str(Path.cwd()), os.environ))
