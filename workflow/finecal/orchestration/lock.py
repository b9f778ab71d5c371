"""Remove Snakemake's lock on the working directory where its owner was killed.

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
    """Remove Snakemake's lock if its owner has died, then show for the rest of this process that it is at work.

    Several Snakemakes may be at work in one directory, on different results; their locks are left alone while any
    of them lives. So are those of other hosts that did not end well, since flock may not reach from host to host.
    Where the directory cannot be written or its file system has no flock, nothing is done.
    """
    global _held
    own = STATE / f"at_work.{socket.gethostname()}"
    try:
        STATE.mkdir(exist_ok=True)
        file = own.open("a+")
    except OSError:
        return
    try:
        if _lock_alone(file):
            if not _find_other_hosts(own):
                stale = [*STATE.glob("locks/*.lock")]
                for lock in stale:
                    lock.unlink()
                if stale:
                    print("finecal: the Snakemake that had locked this folder was killed; going on", file=sys.stderr)
            file.truncate(0)  # it names processes that were killed
        fcntl.flock(file, fcntl.LOCK_SH)
    except OSError:  # a file system without flock
        file.close()
        return
    _sign(file)
    atexit.register(_end, file)
    _held = file


def others_at_work() -> str:
    """Return who else is or may be at work in this directory; empty if this process is certainly alone.

    The shared lock is released for a moment.
    """
    if _held is None:
        return "another Snakemake (the folder .snakemake cannot be locked, so nobody knows)"
    own = STATE / f"at_work.{socket.gethostname()}"
    alone = _lock_alone(_held)
    fcntl.flock(_held, fcntl.LOCK_SH)
    _sign(_held)  # one that left meanwhile took itself for the last and has emptied the file
    if not alone:
        return "another Snakemake on this host"
    hosts = [file.name.removeprefix("at_work.") for file in _find_other_hosts(own)]
    return f"a Snakemake on {' and '.join(hosts)}" if hosts else ""


def at_work() -> list[str]:
    """Return who is at work in this directory as far as files tell: living processes of this host, and other hosts."""
    own = STATE / f"at_work.{socket.gethostname()}"
    try:
        lines = own.read_text("utf-8").splitlines()
    except OSError:  # no Snakemake was ever at work here
        lines = []
    found = [SIGNED.fullmatch(line) for line in lines]
    alive = [one[1] for one in found if one is not None and is_alive(int(one[1]), int(one[2]) if one[2] else None)]
    return [f"process {number}" for number in dict.fromkeys(alive)] + [
        f"on {file.name.removeprefix('at_work.')}" for file in _find_other_hosts(own)
    ]


def _find_other_hosts(own: Path) -> list[Path]:
    """Return the files of other hosts on which a Snakemake is at work or did not end well."""
    return sorted(other for other in STATE.glob("at_work.*") if other != own and other.stat().st_size)


def _lock_alone(file: IO[str]) -> bool:
    """Lock the file for this process alone; return False where others hold it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: IO[str]) -> None:
    """Write a line for this process; lines of processes that have ended stay until the last one leaves."""
    tick = start_tick(os.getpid())
    line = f"process {os.getpid()}{f' started at tick {tick}' if tick else ''}"
    file.seek(0)
    if line not in file.read().splitlines():
        file.write(f"{line}\n")  # at the end, whoever else has written
        file.flush()


def _end(file: IO[str]) -> None:
    """Close the file; the last process to leave empties it, which says that all have ended well."""
    if _lock_alone(file):
        file.truncate(0)
    file.close()
