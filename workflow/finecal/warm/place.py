"""The folder in which clients find the warm process: its socket, and the program `finecal` that asks there.

It lies where temporary files do, else where other programs have theirs: a socket's path must be short, and some places
are full, or allow no programs. The warm process removes it at its end. What is left of one that was killed together
with its Snakemake is removed by the next.
"""

from __future__ import annotations

import os
import py_compile
import shlex
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from finecal.errors import UserError

CLIENT = Path(__file__).with_name("client.py")
PROGRAM = "finecal"
PREFIX = "finecal-warm-"
OTHERS = ("/tmp", "/var/tmp", "/dev/shm")
LONGEST = 100  # bytes of a socket's path; the kernel takes 107
# Seconds after which a folder where nobody listens is not one that is being made.
MADE = 60.0


def make_place(program: str) -> tuple[Path, socket.socket]:
    """Make the folder; return it, and the socket on which the warm process is to listen.

    Parameters
    ----------
    program
        The path of the ordinary `finecal`, which a client becomes where nobody answers.

    Raises
    ------
    UserError
        If there can be none anywhere. It says why, for each place.
    """
    reasons = []
    for parent in _parents():
        _remove_abandoned(parent)
        try:
            return _make_below(parent, program)
        except OSError as error:
            reasons.append(f"{parent}: {error.strerror or error}")
    raise UserError("there is no folder for its socket", why="; ".join(reasons))


def _parents() -> Iterator[Path]:
    with suppress(OSError):  # of all places known to `tempfile` none can be written
        yield Path(tempfile.gettempdir())
    yield from (Path(other) for other in OTHERS if other != tempfile.tempdir)


def _make_below(parent: Path, program: str) -> tuple[Path, socket.socket]:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    listener = None
    try:
        address = folder / "socket"
        if len(os.fsencode(address)) > LONGEST:
            raise OSError("its path is too long for a socket")
        (folder / "host").write_text(socket.gethostname())
        if not _write_client(folder / PROGRAM, address, program):
            raise OSError("no program can be run there")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(address))
        listener.listen(socket.SOMAXCONN)
    except OSError:
        if listener is not None:
            listener.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, listener


def _write_client(path: Path, address: Path, program: str) -> bool:
    """Write the program `finecal`; return whether it can be run, which some file systems forbid."""
    compiled = path.with_name("client.pyc")  # Python would compile a script in every job
    py_compile.compile(str(CLIENT), str(compiled), doraise=True)
    command = shlex.join([sys.executable, "-IS", str(compiled), str(address), program])
    # Somebody may clean up temporary files while jobs run.
    instead = f"[ -r {shlex.quote(str(compiled))} ] || exec {shlex.quote(program)}"
    path.write_text(f'#!/bin/sh\n{instead} "$@"\nexec {command} "$@"\n')
    path.chmod(0o700)
    return os.access(path, os.X_OK)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of this user and host whose warm process is gone."""
    with suppress(OSError):  # others' folders; one that is just removed
        for folder in parent.glob(f"{PREFIX}*"):
            with suppress(OSError):
                if _is_abandoned(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    state = folder.stat()
    if state.st_uid != os.getuid() or time.time() - state.st_mtime < MADE:
        return False
    if (folder / "host").read_text() != socket.gethostname():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.setblocking(False)
        try:
            client.connect(str(folder / "socket"))
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:  # its queue is full
            return False
    return False
