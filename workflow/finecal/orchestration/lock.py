"""Snakemake's lock on the working directory, where it outlived a Snakemake that was killed.

Snakemake locks a directory with files that it removes when it ends. After a SIGKILL or a power cut they stay, and
every further call stops until somebody has typed `snakemake --unlock`. Beside them we hold a lock of the operating
system (flock), which ends with its process however that ends: if nobody holds it, the files are stale.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import socket
import sys
from pathlib import Path
from typing import IO

from finecal.io.processes import is_alive, start_tick

STATE = Path(".snakemake")
SIGNED = re.compile(r"process (\d+)(?: started at tick (\d+))?")
_held: IO[str] | None = None


def release_stale_lock() -> None:
    """Remove Snakemake's lock if its owner has died, then show for the rest of this process that we are at work.

    Several Snakemakes may be at work in one directory, on different results; their locks are left alone while any
    of them lives. So are those of other hosts that did not end well, since flock may not reach from host to host.
    """
    global _held
    STATE.mkdir(exist_ok=True)
    own = STATE / f"at_work.{socket.gethostname()}"
    file = own.open("a+")
    try:
        if _alone(file):
            if not _elsewhere(own):
                stale = [*STATE.glob("locks/*.lock")]
                for lock in stale:
                    lock.unlink()
                if stale:
                    print("finecal: the Snakemake that had locked this folder was killed; going on", file=sys.stderr)
            file.truncate(0)  # what it says is of processes that were killed
        fcntl.flock(file, fcntl.LOCK_SH)
    except OSError:  # a file system without flock: as if this module did not exist
        file.close()
        return
    _sign(file)
    atexit.register(_end, file)
    _held = file


def others_at_work() -> str:
    """Who else is or may be at work in this directory; empty if this process is certainly alone.

    The lock is let go for a moment in between.
    """
    if _held is None:
        return "another Snakemake (the file system has no flock, so nobody knows)"
    own = STATE / f"at_work.{socket.gethostname()}"
    alone = _alone(_held)
    fcntl.flock(_held, fcntl.LOCK_SH)
    _sign(_held)  # one that left meanwhile took itself for the last
    if not alone:
        return "another Snakemake on this host"
    hosts = [file.name.removeprefix("at_work.") for file in _elsewhere(own)]
    return f"a Snakemake on {' and '.join(hosts)}" if hosts else ""


def at_work() -> list[str]:
    """Who is at work in this directory, as far as files tell: living processes of this host, and other hosts."""
    own = STATE / f"at_work.{socket.gethostname()}"
    try:
        lines = own.read_text("utf-8").splitlines()
    except OSError:  # never one here
        lines = []
    found = [SIGNED.fullmatch(line) for line in lines]
    alive = [one[1] for one in found if one is not None and is_alive(int(one[1]), int(one[2]) if one[2] else None)]
    return [f"process {number}" for number in dict.fromkeys(alive)] + [
        f"on {file.name.removeprefix('at_work.')}" for file in _elsewhere(own)
    ]


def _elsewhere(own: Path) -> list[Path]:
    return sorted(other for other in STATE.glob("at_work.*") if other != own and other.stat().st_size)


def _alone(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: IO[str]) -> None:
    """One line for each process; those of processes that have ended stay until the last one leaves."""
    tick = start_tick(os.getpid())
    line = f"process {os.getpid()}{f' started at tick {tick}' if tick else ''}"
    file.seek(0)
    if line not in file.read().splitlines():
        file.write(f"{line}\n")  # at the end, whoever else has written
        file.flush()


def _end(file: IO[str]) -> None:
    """The last one to leave empties the file: then all have ended well."""
    if _alone(file):
        file.truncate(0)
    file.close()
