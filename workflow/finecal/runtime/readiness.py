"""What can be known before the work of a job: whether its outputs could be written, and would be accepted.

All of it takes milliseconds. What is found here would otherwise be learnt after hours of training.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from finecal.errors import UserError
from finecal.io.atomic import as_user_error, despite_removal, has_no_inodes
from finecal.io.parts import part_of
from finecal.runtime.filesystem import check_room

# Seconds that an input may be ahead of its file system's clock: they are waited for. Clocks that are kept by NTP differ
# by far less.
WAITED_FOR = 60


def check_ready(outputs: Iterable[Path], inputs: Iterable[Path], needed: Mapping[Path, int]) -> None:
    """Check folders, space and the dates of inputs before a job begins.

    Parameters
    ----------
    outputs
        The files that it will write.
    inputs
        The files that it will read. One that is missing is left to the job to name.
    needed
        File → bytes that it will have at least.

    Raises
    ------
    UserError
        If a folder cannot be written, has too little space or too small a quota, or if an input cannot be read or is
        dated in the future: Snakemake refuses outputs that are older than their inputs.
    """
    files = list(outputs)
    check_inputs(inputs, despite_removal(lambda: _try_folders(files, needed)))


def check_inputs(inputs: Iterable[Path], now: float) -> None:
    """Check that inputs can be read and are not dated in the future; wait for one that is a little ahead.

    Parameters
    ----------
    inputs
        The files; those that are missing are passed over.
    now
        What the clock says of the file system on which the outputs will lie.
    """
    dated = {}
    for file in inputs:
        with suppress(FileNotFoundError, NotADirectoryError):
            dated[file] = file.stat().st_mtime
    for file in dated:
        if not os.access(file, os.R_OK) and file.exists():
            raise UserError("not readable (Permission denied)", where=str(file))
    ahead = {file: seconds - now for file, seconds in dated.items() if seconds > now}
    late = {file: seconds for file, seconds in ahead.items() if seconds > WAITED_FOR}
    if late:
        file = max(late, key=late.__getitem__)
        others = f"; so are {len(late) - 1} more of its inputs" if len(late) > 1 else ""
        raise UserError(
            f"this file is dated {_duration(late[file])} in the future{others}", where=str(file),
            why="Snakemake refuses results that are older than what they are made from",
            hint=f"Set the clock of the machine that has written it, then `touch {file}`: nothing is made again for it",
        )  # fmt: skip
    if ahead:
        wait = max(ahead.values())
        if wait >= 1:
            print(f"waiting {wait:.0f} s: {max(ahead, key=ahead.__getitem__)} is dated in the future", file=sys.stderr)
        time.sleep(wait)


def check_writable(folder: Path) -> None:
    """Check that a file can be made in a folder, or in what is there of those above it, by making one.

    Raises
    ------
    UserError
        If not: no right, no space, no inodes, an immutable folder.
    """
    _try_present_folder(folder)


def clock_of(folder: Path) -> float:
    """Return the time of the file system on which a folder lies; that of this machine where it cannot be written."""
    try:
        return _try_present_folder(folder)
    except (UserError, OSError):
        return time.time()


def _try_present_folder(folder: Path) -> float:
    return despite_removal(lambda: _try_folder(_present_folder(folder / "a"), folder, 0))


def _try_folders(files: Iterable[Path], needed: Mapping[Path, int]) -> float:
    """Try the folders of files, or what is there of those above them; the latest time that a trial has got.

    Raises
    ------
    FileNotFoundError
        If one is removed meanwhile: the folders of training states are, once they are empty.
    """
    sizes: dict[Path, int] = {}
    first: dict[Path, Path] = {}
    for file in files:
        folder = _present_folder(file)
        first.setdefault(folder, file)
        sizes[folder] = sizes.get(folder, 0) + needed.get(file, 0)
    times = [_try_folder(folder, first[folder], size) for folder, size in _by_disk(sizes).items()]
    return max(times, default=time.time())


def _present_folder(file: Path) -> Path:
    """The folder of a file, or of those above it the first that is there."""
    return next(folder for folder in (file.parent, *file.resolve().parents) if folder.exists())


def _by_disk(sizes: Mapping[Path, int]) -> dict[Path, int]:
    """Add what is needed in folders of one file system to the first of them."""
    firsts: dict[int, Path] = {}
    found: dict[Path, int] = {}
    for folder, size in sizes.items():
        found[folder] = 0
        first = firsts.setdefault(folder.stat().st_dev, folder)
        found[first] += size
    return found


def _try_folder(folder: Path, file: Path, size: int) -> float:
    """Make a file of this size in a folder, and remove it; the time that it has got."""
    # A name as `whole_file` gives: whoever writes the file removes what a process has left that was killed just here.
    part = part_of(folder / (file.name or "a"))
    try:
        with part.open("xb") as trial:
            if size:
                check_room(trial.fileno(), size)
                _reserve(trial.fileno(), size)
            return os.fstat(trial.fileno()).st_mtime
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not has_no_inodes(file):
            raise _no_space(folder, file, size) from error
        raise as_user_error(error, file) from error
    finally:
        with suppress(OSError):  # never made
            part.unlink()


def _reserve(number: int, size: int) -> None:
    """Reserve space for an open file, where the file system can: that knows of quotas, too.

    Not `os.posix_fallocate`, which then writes all of it.
    """
    try:
        fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
    except AttributeError:  # not Linux
        return
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if fallocate(number, 0, 0, size) == 0:
        return
    found = ctypes.get_errno()
    if found in (errno.ENOSPC, errno.EDQUOT):
        raise OSError(found, os.strerror(found))


def _no_space(folder: Path, file: Path, size: int) -> UserError:
    free = shutil.disk_usage(folder).free
    return UserError(
        f"no space left to write this file: the job needs {size / 1e6:,.1f} MB here at least, there are "
        f"{free / 1e6:,.1f} MB or a quota of less", where=str(file),
        hint="Free some space or raise the quota, then run again: finished files and training states are kept",
    )  # fmt: skip


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"
