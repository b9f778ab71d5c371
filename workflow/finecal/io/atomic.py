"""Files that are there whole or not at all, whatever ends their writer."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from finecal.errors import UserError
from finecal.io.processes import is_alive

# A writer on another host cannot be asked whether it lives; one that has written nothing for a day does not.
SECONDS_UNTIL_LEFT = 86_400


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; at the end of the block it becomes `path`, or vanishes.

    A job killed at any moment therefore never leaves a part of a file under the final name. The name starts
    with a dot and holds host and process number, so that two processes do not write to the same one. What dead
    processes have left of this very file is removed.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_parts(path)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        with suppress(OSError):  # not there, or there cannot be one
            temporary.unlink()


def _remove_left_parts(path: Path) -> None:
    """Remove the parts of a file whose writers have died: on this host for certain, elsewhere a day ago."""
    start = f".{path.name}."
    for part in path.parent.iterdir():
        if not (part.name.startswith(start) and part.name.endswith(".part")):
            continue
        host, _, process = part.name.removeprefix(start).removesuffix(".part").rpartition(".")
        if not process.isdecimal():
            continue
        with suppress(FileNotFoundError):  # its writer has just finished
            if host == os.uname().nodename:
                left = not is_alive(int(process))
            else:
                left = time.time() - part.stat().st_mtime > SECONDS_UNTIL_LEFT
            if left:
                part.unlink()


def _explained(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            "no space left to write this file", where=str(path),
            hint="Free some space or raise the quota, then run again: finished files and training states are kept",
        )  # fmt: skip
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return UserError(f"cannot be written ({os.strerror(error.errno)})", where=str(path))
    return error


def remove_empty_parents(path: Path) -> None:
    """Remove the folders above a relative path that hold nothing any more."""
    for parent in path.parents:
        try:
            if parent == Path() or next(parent.iterdir(), None) is not None:
                return
            parent.rmdir()
        except OSError:  # another job has just put something there, or removed it itself
            return


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, "utf-8")
