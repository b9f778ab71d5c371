"""Locks that reach from host to host: a file that one process has linked, and keeps young while it lives.

The operating system's lock (flock) ends with its process, but on many network file systems it is known on one host
alone, and on some not at all. Making a hard link succeeds for one process only, whatever the hosts (NFS included).
Whether its owner lives is known on its own host; elsewhere its file's time tells, which the owner renews. All times are
those of the file system, so clocks that differ do no harm.

The worst case, a process that was stopped for longer than a lease and goes on, is harmless where files are written
whole and equal work gives equal files.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from finecal.io.atomic import as_user_error, make_in_folder
from finecal.io.parts import part_of, remove_left_parts
from finecal.io.processes import is_alive, start_tick

LIFETIME = 60.0  # seconds after which the lease of a process of another host that does not renew it is over
RENEWALS = 4  # within a lifetime
LOOK = 1.0  # seconds between two looks at the lease of another
OWNER = re.compile(r"process (\d+)(?: started at tick (\d+))? on (\S+)\n")


@contextmanager
def hold_lease(path: Path, what: str) -> Iterator[None]:
    """Hold a lease during the block; wait while another process holds it.

    Parameters
    ----------
    path
        The file.
    what
        What is worked on, for the message to whoever waits.
    """
    told = False
    while not _take(path):
        holder = held_by(path)
        if not holder:
            _break(path)
            continue
        if not told:
            print(f"waiting: {holder} is working on {what}", file=sys.stderr, flush=True)
            told = True
        time.sleep(LOOK)
    ended = threading.Event()
    renewer = threading.Thread(target=_renew, args=(path, ended), daemon=True)
    renewer.start()
    try:
        yield
    finally:
        ended.set()
        renewer.join()
        if _read(path) == _sign():  # else it was taken over while this process was stopped
            path.unlink(missing_ok=True)


def held_by(path: Path) -> str:
    """Return which process holds a lease, as `process 12 on node7`; empty if none does, or it is over."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:  # opened, NFS asks the server for its time
            text, written = file.read(), os.fstat(file.fileno()).st_mtime
    except OSError:
        return ""
    owner = OWNER.fullmatch(text)
    if owner is None:
        return "another process" if _now(path) - written < LIFETIME else ""
    number, tick, host = int(owner[1]), owner[2], owner[3]
    if host == os.uname().nodename:
        alive = is_alive(number, int(tick) if tick else None)
    else:
        alive = _now(path) - written < LIFETIME
    return f"process {number} on {host}" if alive else ""


def _take(path: Path) -> bool:
    """Try to become the owner.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    part = part_of(path)
    try:
        make_in_folder(part, lambda: part.write_text(_sign(), "utf-8"))
        remove_left_parts(path)
        os.link(part, path)
    except FileExistsError:
        return part.stat().st_nlink == 2  # it was made after all, and the server's answer lost
    except OSError as error:
        raise as_user_error(error, path) from error
    finally:
        part.unlink(missing_ok=True)
    return True


def _break(path: Path) -> None:
    """Remove a lease that is over, unless another process has just done so and taken it."""
    over = _read(path)
    if over is None or held_by(path):
        return
    aside = part_of(path.with_name(f"{path.name}.over"))
    with suppress(FileNotFoundError):
        path.replace(aside)
        if _read(aside) != over:
            with suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()


def _renew(path: Path, ended: threading.Event) -> None:
    while not ended.wait(LIFETIME / RENEWALS):
        with suppress(OSError):
            if _read(path) == _sign():
                os.utime(path)


def _sign() -> str:
    tick = start_tick(os.getpid())
    return f"process {os.getpid()}{f' started at tick {tick}' if tick else ''} on {os.uname().nodename}\n"


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return None


def _now(path: Path) -> float:
    """The time of the file system; that of this machine where nothing can be written."""
    part = part_of(path)
    try:
        part.touch()
        return part.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            part.unlink()
