"""The folder in which an unfinished training keeps its state: locked against a second process, kept until it is done.

A training that succeeds is done when its results are accepted. Snakemake looks at them after the job has ended, and
deletes them if, say, they are older than an input: then the state must still be there. So below Snakemake the folder
stays, and Snakemake's process removes it (`finecal.orchestration.acceptance`). This module imports nothing large.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from finecal.errors import UserError
from finecal.io.atomic import as_user_error, leads_to, make_in_folder, remove_empty_parents
from finecal.io.lease import held_by, hold_lease
from finecal.io.parts import part_of
from finecal.io.sharing import owner

# In the environment of jobs: who has started them removes the states.
KEPT = "FINECAL_KEEPS_STATES"


@contextmanager
def lock_state(folder: Path) -> Iterator[Path]:
    """Hold the folder of a training's state; a second process that asks for it waits until the first one ends.

    When the block succeeds, the folder is removed, or left to whoever has started this process; after an error or a
    signal it stays. The lock is the operating system's (flock), so it ends with the process however that ends, and a
    lease, since flock may not reach from host to host, or not be there.

    Notes
    -----
    The package `filelock` does not suit, because the lock's file is removed together with the folder. filelock detects
    by the number of links whether the file that it has locked was removed meanwhile; on NFS a removed file that a
    process has open lives on under another name, so two processes would hold the lock. `_lock` compares the inode that
    the name leads to.
    """
    lock = _lock_of(folder)
    with _lock(lock, f"the training whose state is {folder}"):
        probe = part_of(folder / "probe")
        try:
            make_in_folder(probe, probe.touch)  # the folder may have been seen here before another host has removed it
            probe.unlink()
        except OSError as error:
            raise as_user_error(error, folder) from error
        yield folder
        if not os.environ.get(KEPT):
            shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
    remove_empty_parents(folder)


def discard_state(folder: Path) -> None:
    """Remove the state of a training whose results are accepted, unless a process is at work on it."""
    if not folder.is_dir():
        return
    lock = _lock_of(folder)
    try:
        opened = _open(lock)
    except (UserError, OSError):  # of another user, on a full disk: it stays until the next Snakemake
        return
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody trains anew
            return
        except OSError:  # no flock here
            pass
        # Another process may have removed the lock before this one had it: then somebody may hold a new one.
        if not leads_to(lock, file) or held_by(lease_of(lock)):
            return
        lease_of(lock).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
    remove_empty_parents(folder)


def newest_state(folder: Path) -> float | None:
    """Return when a state was last saved in a folder; None if there is none."""
    try:
        return max((file.stat().st_mtime for file in folder.iterdir()), default=None)
    except OSError:
        return None


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def lease_of(lock: Path) -> Path:
    """Return the lease beside a lock."""
    return lock.with_suffix(".lease")


@contextmanager
def _lock(lock: Path, what: str) -> Iterator[None]:
    while True:
        with _open(lock) as file:
            _lock_on_this_host(file, what)
            # The process that held the lock may have removed the file; then others lock a new one, so try that.
            if not leads_to(lock, file):
                continue
            with suppress(OSError):  # a full disk: then those who wait are told of another process
                os.ftruncate(file.fileno(), 0)
                os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            with hold_lease(lease_of(lock), what):
                yield
            return


def _lock_on_this_host(file: IO[str], what: str) -> None:
    """Wait for the system's lock. Where the file system has none, the lease alone has to do."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        print(f"waiting: {file.read().strip() or 'another process'} is working on {what}", file=sys.stderr)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return


def _open(lock: Path) -> IO[str]:
    try:
        return make_in_folder(lock, lambda: lock.open("a+"))
    except PermissionError as error:
        there = next(place for place in (lock, *lock.absolute().parents) if place.exists())
        raise UserError(
            f"this lock cannot be opened: {str(there)!r} belongs to {owner(there) or 'somebody else'}",
            where=str(lock), hint="Its owner lets the group write by `chmod -R g+w state results`",
        ) from error  # fmt: skip
