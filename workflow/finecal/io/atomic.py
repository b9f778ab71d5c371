"""Write files whole or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from finecal.errors import UserError
from finecal.io.parts import part_of, remove_left_parts

T = TypeVar("T")
AT_ONCE = 20  # tries to make a file in a folder that others remove when it is empty
CACHED = 90  # seconds after which no network file system shows any more what another host has removed (NFS: 60)


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` at the end of the block, remove it after an error.

    A job that is killed at any moment never leaves a part of a file under the final name. The temporary name starts
    with a dot and contains host and process number, so that two processes never write to the same file. Parts of
    `path` that dead processes have left are removed first.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = part_of(path)
    try:
        make_in_folder(temporary, temporary.touch)
        remove_left_parts(path)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise as_user_error(error, path) from error
    finally:
        with suppress(OSError):  # renamed already, or never made
            temporary.unlink()


def make_in_folder(path: Path, make: Callable[[], T]) -> T:
    """Make the folders above a path, then a file there, whatever becomes of the folders: others remove empty ones.

    If that was on another host, a network file system shows the folder here until its cache forgets it: making it fails
    since it is there, and making a file in it since it is not.

    Parameters
    ----------
    make
        Makes the file; called again while it raises FileNotFoundError.
    """

    def both() -> T:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # it was there, and was not when `mkdir` looked what it is
            if _is_no_folder(path.parent):
                raise
        return make()

    return despite_removal(both)


def _is_no_folder(path: Path) -> bool:
    """Whether there is something else: a file, or a link to nowhere."""
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def despite_removal(make: Callable[[], T]) -> T:
    """Call a function again while it raises FileNotFoundError, as one does that looks for a folder and uses it then.

    See `make_in_folder`: what was there may be removed in between.
    """
    for attempt in range(AT_ONCE + CACHED):
        if attempt >= AT_ONCE:
            time.sleep(1)
        with suppress(FileNotFoundError):
            return make()
    return make()


def leads_to(path: Path, file: IO[Any]) -> bool:
    """Return whether a name is still that of an open file: others may have removed or renamed what a process opens."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def as_user_error(error: OSError, path: Path) -> Exception:
    """Return a UserError for what the user can mend about a file that is to be written, any other error as it is."""
    if error.errno == errno.ENOSPC and has_no_inodes(path):
        return UserError(
            "no more files can be made on this disk: it has no inodes left, though it may have space", where=str(path),
            hint="Remove files that are not needed, then run again: finished files and training states are kept",
        )  # fmt: skip
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            "no space left to write this file", where=str(path),
            hint="Free some space or raise the quota, then run again: finished files and training states are kept",
        )  # fmt: skip
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        hint = "`lsattr` says whether it or its folder is immutable; `chattr -i` takes that back"
        said = f"cannot be written ({os.strerror(error.errno)})"
        return UserError(said, where=str(path), hint=hint if error.errno == errno.EPERM else "")
    return error


def has_no_inodes(path: Path) -> bool:
    """Return whether the file system of a path has a number of files that it can hold, and holds them."""
    found = despite_removal(
        lambda: os.statvfs(next(one for one in (path.parent, *path.absolute().parents) if one.exists()))
    )
    return found.f_files > 0 and found.f_favail == 0


def remove_empty_parents(path: Path) -> None:
    """Remove the folders above a relative path that have become empty."""
    for parent in path.parents:
        try:
            if parent == Path() or next(parent.iterdir(), None) is not None:
                return
            parent.rmdir()
        except OSError:  # another job has just written into it or removed it
            return


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, "utf-8")
