"""What is in the user's own files, wherever they lie and whenever they were written: SHA-256 of their bytes.

Files that have not changed are not read again. For each folder of images and each checkpoint, `state/.contents/` has a
note of its files: size, time of modification, time of the last change of any kind (ctime), and hash. A noted hash is
taken if size and both times are as noted. What that guarantees:

- Changed bytes are noticed if the size or a time differs. `touch -d`, `cp -p`, `rsync -t` and `tar` can set the time of
  modification back, but not ctime.
- A file that was written less than `RACY` before it was read is not noted, but read again the next time: another change
  within the precision of the file system's clock would leave its times as they are (git's index has the same rule).
- Not noticed is only what leaves the size and both times as they are: bytes changed below the file system, or while the
  computer's clock was set back.

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
from contextlib import suppress
from pathlib import Path

from finecal import paths
from finecal.errors import UserError
from finecal.io.atomic import whole_file

FORMAT = "finecal contents 1"
RACY = 2_000_000_000  # nanoseconds; the coarsest clock of a file system still in use is FAT's, two seconds
THREADS = 8  # that read: many small files mostly wait for the disk or the network
AT_ONCE = 64  # files that a thread is handed together
TOLD_FROM = 2**30  # bytes: reading more takes long enough to say so


def content_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits; always reads the file.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - called for every file
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hashes(files: Sequence[str | Path], of: str) -> list[str | None]:
    """The hashes of many files, each read only if it is not as it was noted.

    Parameters
    ----------
    of
        Whose files they are, such as the path of a folder: there is one note for each such text. A note keeps the files
        of the last call alone.

    Returns
    -------
    A hash for each file; None for what is missing, no regular file, or cannot be read.
    """
    here = _here()
    names = [os.fspath(file).removeprefix(here) for file in files]
    note = _note(of)
    noted = _read(note)
    known: dict[str, tuple[str, str]] = {}  # what the note is to have: name → state, hash
    unread: dict[str, os.stat_result] = {}
    for name in dict.fromkeys(names):
        found = _look(name)
        if found is None:
            continue
        entry = noted.get(name)
        if entry is not None and entry[0] == _state(found):
            known[name] = entry
        else:
            unread[name] = found
    hashes = {name: hashed for name, (_, hashed) in known.items()}
    if unread:
        _tell(sum(found.st_size for found in unread.values()), len(unread), of)
        try:
            for name, hashed, lasting in _read_all(unread):
                hashes[name] = hashed
                if lasting:
                    known[name] = _state(unread[name]), hashed
        finally:  # after Ctrl-C too: what has been read need not be read again
            if any(name in known for name in unread):
                _write(note, known)
    return [hashes.get(name) for name in names]


def _here() -> str:
    """Cut off from the names of files below the working directory: notes then hold after the whole was moved."""
    return os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118 - a beginning of names, not a path


def _look(name: str) -> os.stat_result | None:
    """What the file system says of a regular file; None for anything else."""
    try:
        found = os.stat(name)  # noqa: PTH116 - called for every file
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _state(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _read_all(files: Mapping[str, os.stat_result]) -> Iterator[tuple[str, str, bool]]:
    """Name, hash, and whether the hash may be noted; without files that cannot be read."""
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
    except OSError:  # the caller says that there is no hash
        return None
    after = _look(name)
    unchanged = after is not None and _state(after) == _state(before)
    return name, hashed, unchanged and max(before.st_mtime_ns, before.st_ctime_ns) < began - RACY


def _tell(size: int, count: int, of: str) -> None:
    if size >= TOLD_FROM:
        print(
            f"Reading {count:,} file{'s' * (count > 1)} of {of} ({size / 2**30:.1f} GiB) that may have changed; once, "
            "since what they contain is then noted",
            file=sys.stderr, flush=True,
        )  # fmt: skip


def _note(of: str) -> Path:
    name = os.path.abspath(of).removeprefix(_here())  # noqa: PTH100 - `of` need not be a path
    return Path(paths.CONTENTS, hashlib.sha256(os.fsencode(name)).hexdigest()[:32])


def _read(note: Path) -> dict[str, tuple[str, str]]:
    """Name → state and hash; empty if there is no note or it is not whole."""
    try:
        head, _, body = note.read_bytes().partition(b"\n")
    except OSError:
        return {}
    if head != _head(body):
        return {}
    fields = os.fsdecode(body).split("\0")
    return dict(zip(fields[::3], zip(fields[1::3], fields[2::3], strict=True), strict=True))


def _write(note: Path, entries: Mapping[str, tuple[str, str]]) -> None:
    """Names cannot hold a zero byte, so it separates them."""
    body = os.fsencode("\0".join(f"{name}\0{state}\0{hashed}" for name, (state, hashed) in entries.items()))
    with suppress(UserError, OSError), whole_file(note) as temporary:  # without the note the files are read again
        temporary.write_bytes(_head(body) + b"\n" + body)


def _head(body: bytes) -> bytes:
    return f"{FORMAT} {hashlib.sha256(body).hexdigest()}".encode("ascii")
