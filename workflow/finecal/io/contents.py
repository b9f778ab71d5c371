"""Hash the contents of the user's own files (SHA-256), reading only those that may have changed.

For each folder of images and each checkpoint, `state/.contents/` has a note of its files: size, time of modification,
time of the last change of any kind (ctime), and hash. A file is not read if its size and both times are as noted. What
that guarantees:

- Changed bytes are noticed if the size or a time differs. `touch -d`, `cp -p`, `rsync -t` and `tar` can set the time of
  modification back, but not ctime.
- A file that was written less than `RACY` before it was read is not noted, but read again the next time: another change
  within the precision of the file system's clock would leave its times as they are (git's index has the same rule).
- A change is missed only if it leaves the size and both times as they are: bytes changed below the file system, or
  while the computer's clock was set back.

A note that is missing, damaged or cannot be written costs time and nothing else. Several processes may write the same
note: each writes it whole, and the last one stays.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from finecal import paths
from finecal.errors import UserError, counted
from finecal.io.atomic import whole_file

FORMAT = "finecal contents 1"
RACY = 2_000_000_000  # nanoseconds; the coarsest clock of a file system still in use is FAT's, two seconds
THREADS = 8  # readers: reading small files is mostly waiting for the disk or the network
AT_ONCE = 64  # files in one task of a thread
_kept: dict[tuple[str, ...], list[str | None]] | None = None
ANNOUNCE_FROM = 2**30  # bytes: reading more takes so long that the user is told


def content_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits; always read the file.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - called for every file
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def kept_hashes() -> Iterator[None]:
    """Within the block, files have the hashes of the first look, whatever becomes of them.

    So a job that looks first and reads then never says that it has read what has replaced a file in the meantime.
    """
    global _kept
    _kept = {}
    try:
        yield
    finally:
        _kept = None


def content_hashes(files: Sequence[str | Path], of: str) -> list[str | None]:
    """Return the hashes of many files; read only those that have changed since they were noted.

    Parameters
    ----------
    of
        What the files belong to, such as the path of a folder: there is one note for each such text. A note keeps only
        the files of the last call.

    Returns
    -------
    A hash for each file; None for what is missing, no regular file, or cannot be read.
    """
    here = _working_directory()
    names = [os.fspath(file).removeprefix(here) for file in files]
    if _kept is None:
        return _content_hashes(names, of)
    key = (of, *names)
    if key not in _kept:
        _kept[key] = _content_hashes(names, of)
    return [*_kept[key]]


def _content_hashes(names: Sequence[str], of: str) -> list[str | None]:
    note = _note(of)
    noted = _read(note)
    known: dict[str, tuple[str, str]] = {}  # entries of the new note: name → state, hash
    unread: dict[str, os.stat_result] = {}
    for name in dict.fromkeys(names):
        found = _stat(name)
        if found is None:
            continue
        entry = noted.get(name)
        if entry is not None and entry[0] == _state(found):
            known[name] = entry
        else:
            unread[name] = found
    hashes = {name: hashed for name, (_, hashed) in known.items()}
    if unread:
        _announce(sum(found.st_size for found in unread.values()), len(unread), of)
        try:
            for name, hashed, may_be_noted in _read_all(unread):
                hashes[name] = hashed
                if may_be_noted:
                    known[name] = _state(unread[name]), hashed
        finally:  # also after Ctrl-C, so that what has been read is not read again
            if any(name in known for name in unread):
                _write(note, known)
    return [hashes.get(name) for name in names]


def _working_directory() -> str:
    """Return the prefix that is cut off from names of files, so that notes stay valid after the folder was moved."""
    return os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118 - a beginning of names, not a path


def _stat(name: str) -> os.stat_result | None:
    """Return the status of a regular file; None for anything else."""
    try:
        found = os.stat(name)  # noqa: PTH116 - called for every file
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _state(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _read_all(files: Mapping[str, os.stat_result]) -> Iterator[tuple[str, str, bool]]:
    """Yield name, hash, and whether the hash may be noted; leave out files that cannot be read."""
    names = list(files)
    parts = [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]
    pool = ThreadPoolExecutor(THREADS)
    try:
        for part in pool.map(lambda part: [read for name in part if (read := _read_one(name, files[name]))], parts):
            yield from part
    finally:
        pool.shutdown(cancel_futures=True)


def _read_one(name: str, before: os.stat_result) -> tuple[str, str, bool] | None:
    began = time.time_ns()
    try:
        hashed = content_hash(name)
    except OSError:  # the caller returns None for it
        return None
    after = _stat(name)
    unchanged = after is not None and _state(after) == _state(before)
    return name, hashed, unchanged and max(before.st_mtime_ns, before.st_ctime_ns) < began - RACY


def _announce(size: int, count: int, of: str) -> None:
    if size >= ANNOUNCE_FROM:
        print(
            f"Reading {counted(count, 'file')} of {of} ({size / 2**30:.1f} GiB) that may have changed; their "
            "hashes are noted, so that this happens once",
            file=sys.stderr, flush=True,
        )  # fmt: skip


def _note(of: str) -> Path:
    name = os.path.abspath(of).removeprefix(_working_directory())  # noqa: PTH100 - `of` need not be a path
    return Path(paths.CONTENTS, hashlib.sha256(os.fsencode(name)).hexdigest()[:32])


def _read(note: Path) -> dict[str, tuple[str, str]]:
    """Return name → state and hash; empty if there is no note or it is damaged."""
    try:
        head, _, body = note.read_bytes().partition(b"\n")
    except OSError:
        return {}
    if head != _head(body):
        return {}
    fields = os.fsdecode(body).split("\0")
    return dict(zip(fields[::3], zip(fields[1::3], fields[2::3], strict=True), strict=True))


def _write(note: Path, entries: Mapping[str, tuple[str, str]]) -> None:
    """Write a note; fields are separated by zero bytes, which no name contains."""
    body = os.fsencode("\0".join(f"{name}\0{state}\0{hashed}" for name, (state, hashed) in entries.items()))
    with suppress(UserError, OSError), whole_file(note) as temporary:  # without a note the files are read again
        temporary.write_bytes(_head(body) + b"\n" + body)


def _head(body: bytes) -> bytes:
    return f"{FORMAT} {hashlib.sha256(body).hexdigest()}".encode("ascii")
