"""Fetch one file from one address in several tries, each of which resumes the one before.

An unfinished file is `NAME.part` beside its final place. `NAME.part.json` has its address and version (the server's
ETag or date, and the size). The server is asked for the rest of that version only (HTTP `Range` with `If-Range`). If
the version has changed, or the server does not send parts, the file is fetched from its beginning.

`requests` retries until a body begins, but connections break within bodies of gigabytes; so the loop is here.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from finecal.download.http import Failed, Version, ask
from finecal.errors import UserError, counted
from finecal.io.atomic import leads_to, make_in_folder

TRIES = 6  # in a row that bring no further byte
WAIT = 1.0  # seconds before the second try, doubled for each further one

Progress = Callable[[int, int | None], None]


def transfer(
    url: str,
    part: Path,
    *,
    expected: int | None,
    progress: Progress,
    page: bool = False,
    tries: int = TRIES,
    wait: float = WAIT,
) -> None:
    """Fetch the whole file of an address (http, https or file) into `part`, which is there and locked.

    Parameters
    ----------
    expected
        Its size in bytes, if it is published: another size is refused before anything is fetched.
    progress
        Called with the number of bytes that are there, and of all bytes (None if it is not known).
    page
        Whether the file is a web page; if not, a web page is taken for a message of the site and refused.
    tries
        How many tries in a row may bring no further byte.
    wait
        Seconds before the second try, doubled for each further one.

    Raises
    ------
    Failed
        If the address does not give the file.
    UserError
        If the disk has too little space.
    """
    failures = 0
    while True:
        before = part.stat().st_size
        try:
            _try_once(url, part, expected, progress, page)
            return
        except Failed as failed:
            failures = 1 if part.stat().st_size > before else failures + 1
            if not failed.again or failures >= tries:
                raise
            pause = wait * 2 ** (failures - 1)
            print(f"{url}: {failed}; trying again in {pause:g} s", flush=True)
            time.sleep(pause)


def begin_anew(part: Path) -> None:
    """Empty a part, which stays locked, and remove the note on its version."""
    os.truncate(part, 0)
    _note(part).unlink(missing_ok=True)


def forget(part: Path) -> None:
    """Remove a part and the note on its version."""
    for path in (part, _note(part)):
        path.unlink(missing_ok=True)


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


@contextmanager
def locked(part: Path) -> Iterator[None]:
    """Lock a part, so that one process writes it; on file systems without locks, Snakemake's own lock must suffice.

    Raises
    ------
    UserError
        If another process is fetching the same file.
    """
    while True:
        with make_in_folder(part, lambda: part.open("ab")) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError("another process is fetching this file", where=str(part)) from error
            except OSError:  # such as NFS without locks
                pass
            # Whoever had the lock before may have given the part its final name.
            if leads_to(part, file):
                yield
                return


def _try_once(url: str, part: Path, expected: int | None, progress: Progress, page: bool) -> None:
    """Try once; if it fails, what has arrived stays in the part."""
    kept = _read_version(url, part)
    start = part.stat().st_size if kept else 0
    if kept and start == kept.total:
        return
    answer = ask(url, start, kept, page)
    total = answer.version.total
    if expected is not None and total is not None and total != expected:
        raise Failed(f"it has {counted(total, 'byte')} instead of {expected:,}")
    if kept and answer.version != kept:
        answer = answer if answer.start == 0 else ask(url, 0, None, page)
    _check_space(part, (total or expected or 0) - answer.start)
    _note(part).write_text(json.dumps(asdict(answer.version)), "utf-8")
    with part.open("r+b") as file:
        file.truncate(answer.start)
        file.seek(answer.start)
        progress(answer.start, total)
        for chunk in answer.chunks:
            file.write(chunk)
            progress(file.tell(), total)
        arrived = file.tell()
    if total is not None and arrived < total:
        raise Failed(f"the connection ended after {arrived:,} of {counted(total, 'byte')}", again=True)
    if total is not None and arrived > total:
        begin_anew(part)
        raise Failed(f"it sent {counted(arrived, 'byte')} instead of {total:,}", again=True)


def _read_version(url: str, part: Path) -> Version | None:
    """Read the version that a part belongs to; None if its rest cannot be asked for."""
    try:
        version = Version(**json.loads(_note(part).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return version if version.url == url and version.known else None


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise UserError(
            f"this file needs {counted(needed, 'byte')} more, the disk has {free:,} left",
            where=str(part.with_suffix("")),
            hint="Free some space, or make `resources` a link to a larger disk; the next try resumes this one",
        )  # fmt: skip
