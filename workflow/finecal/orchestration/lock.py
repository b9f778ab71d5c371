"""Remove Snakemake's lock on the working directory where its owner was killed, and say who is at work there.

Snakemake locks a directory with files, or with rows of its database, that it removes when it ends. After a SIGKILL or a
power cut they stay, and every further call stops until somebody has typed `snakemake --unlock`. Beside them we hold a
lock of the operating system (flock), which ends with its process however that ends: if nobody holds it, the files are
stale. The file says who holds it, and its time is that of the last sign of life.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from finecal.orchestration.database import remove_locks_in_database
from finecal.orchestration.workers import (
    STATE,
    find_other_hosts,
    not_writable_error,
    others,
    own_file,
    signature,
    this_host,
)

BEAT_SECONDS = 60.0  # between two signs of life
_held: IO[str] | None = None


def release_stale_lock() -> None:
    """Remove Snakemake's lock if its owner has died, then show for the rest of this process that it is at work.

    Several Snakemakes may be at work in one directory, on different results; their locks are left alone while any
    of them lives. So are those of other hosts that did not end well, since flock may not reach from host to host.
    Where the file system has no flock, nothing is done.

    Raises
    ------
    UserError
        If the directory belongs to somebody else and cannot be written.
    """
    global _held
    own = own_file()
    try:
        STATE.mkdir(exist_ok=True)
        file = own.open("a+")
    except PermissionError as error:
        raise not_writable_error(STATE) from error
    except OSError:
        return
    try:
        if _lock_alone(file):
            if not find_other_hosts(own) and _remove_locks():
                print("finecal: the Snakemake that had locked this folder was killed; going on", file=sys.stderr)
            file.truncate(0)  # it names processes that were killed
        fcntl.flock(file, fcntl.LOCK_SH)
    except OSError:  # a file system without flock
        file.close()
        return
    _sign(file)
    atexit.register(_end, file)
    threading.Thread(target=_beat, args=(own, file), daemon=True).start()
    _held = file


def others_at_work() -> str:
    """Return who else is or may be at work in this directory; empty if this process is certainly alone.

    The shared lock is released for a moment.
    """
    if _held is None:
        return "another Snakemake (the folder .snakemake cannot be locked, so nobody knows)"
    alone = _lock_alone(_held)
    fcntl.flock(_held, fcntl.LOCK_SH)
    _sign(_held)  # one that left meanwhile took itself for the last and has emptied the file
    found = [worker for worker in others() if not alone or worker.host != this_host()]
    return " and ".join(map(str, found)) or ("" if alone else "another Snakemake on this host")


def _remove_locks() -> bool:
    """Remove Snakemake's locks, files or rows of its database; return whether there were any."""
    stale = [*STATE.glob("locks/*.lock")]
    for lock in stale:
        lock.unlink(missing_ok=True)
    return bool(remove_locks_in_database() or stale)


def _lock_alone(file: IO[str]) -> bool:
    """Lock the file for this process alone; return False where others hold it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: IO[str]) -> None:
    """Write a line for this process; lines of processes that have ended stay until the last one leaves."""
    line = signature()
    file.seek(0)
    if line not in file.read().splitlines():
        file.write(f"{line}\n")  # at the end, whoever else has written
        file.flush()


def _beat(own: Path, file: IO[str]) -> None:
    """Give a sign of life now and then, until the end."""
    while not file.closed:
        time.sleep(BEAT_SECONDS)
        with suppress(OSError, ValueError):  # of another user; closed meanwhile
            if not file.closed:
                os.utime(own)


def _end(file: IO[str]) -> None:
    """Close the file; the last process to leave empties it, which says that all have ended well."""
    if _lock_alone(file):
        file.truncate(0)
    file.close()
