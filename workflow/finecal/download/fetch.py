"""Fetch the files of data sets, and check them.

The site's mirror is tried first, if there is one, then the addresses in their order. A broken connection is resumed
(`finecal.download.resume`). If an address does not give the file or gives wrong bytes, the next one is tried. If no
hash is published, that of the first download is written beside the file (`NAME.sha256`) and compared from then on.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from finecal.download.http import Failed
from finecal.download.resume import WAIT, Progress, begin_anew, forget, locked, transfer
from finecal.download.spec import Download
from finecal.errors import UserError, counted
from finecal.io.atomic import write_text


def fetch(download: Download, folder: Path, *, mirror: str | None = None, wait: float = WAIT) -> Path:
    """Fetch a file into a folder, unless it is there, and check it.

    Parameters
    ----------
    folder
        `resources/{data set}`.
    mirror
        A folder or an address that has `{data set}/{name}`; it is tried first.
    wait
        Seconds before an address is tried a second time.

    Raises
    ------
    UserError
        If no address gives the file, or all give wrong bytes; if the disk is full; if the file is there but wrong.
    """
    target = folder / download.name
    if target.exists():
        check(download, folder)
        return target
    if not (urls := [*_mirror_urls(download, folder, mirror), *download.urls]):
        raise UserError(
            "this file has to be fetched by hand", where=str(target), why=f"{download.by_hand} and put it there",
            hint="A `mirror` in config.yaml that has it works too",
        )  # fmt: skip
    part = folder / f"{download.name}.part"
    try:
        with locked(part):
            if not target.exists():
                _fetch_from(urls, download, part, target, wait)
                return target
            forget(part)
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=str(target)) from error
    check(download, folder)  # another process has fetched it in the meantime
    return target


def _fetch_from(urls: list[str], download: Download, part: Path, target: Path, wait: float) -> None:
    """Fetch a file from the first of some addresses that has it, into a part that is locked."""
    reasons, wrong = [], ""
    while urls:
        url = urls.pop(0)
        resumed = part.stat().st_size > 0
        try:
            print(f"{target}: from {url}", flush=True)
            with _progress(download.name) as progress:
                page = download.name.endswith((".html", ".htm"))
                transfer(url, part, expected=download.bytes, progress=progress, page=page, wait=wait)
            if not (wrong := _finish(download, part, target)):
                return
            if resumed:  # perhaps only the bytes from the earlier try are wrong
                urls.insert(0, url)
            raise Failed(wrong)
        except Failed as failed:
            print(f"{url}: {failed}", flush=True)
            reasons.append(f"{url}: {failed}")
    if wrong and not part.stat().st_size:
        forget(part)
    by_hand = f"{download.by_hand} and put it there" if download.by_hand else ""
    raise UserError("could not be fetched", where=str(target), why="; ".join(reasons), hint=by_hand or HINT)


STATE = "# size, time in ns:"
HINT = "The next try resumes what was fetched; on a site without network set `mirror` in config.yaml"


def fetch_all(files: Mapping[Path, Download], *, mirror: str | None = None, wait: float = WAIT) -> None:
    """Fetch several files, path → download; try all of them before an error names those that failed."""
    failed = []
    for path, download in files.items():
        try:
            fetch(download, path.parent, mirror=mirror, wait=wait)
        except UserError as error:
            failed.append(error)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        reasons = " ".join(f"({number}) {error}" for number, error in enumerate(failed, start=1))
        raise UserError(f"{len(failed)} of {counted(len(files), 'file')} could not be fetched: {reasons}")


def check(download: Download, folder: Path) -> None:
    """Check a file; quick if it was checked before, when its hash was written beside it.

    Raises
    ------
    UserError
        If it is missing, or its size or hash is not the published one or that of the first download.
    """
    target = folder / download.name
    if not target.is_file():
        raise UserError("this file is missing", where=str(target), hint="`finecal download` fetches it")
    wrong = _wrong_size(download, target)
    beside = _hash_file(target)
    recorded, of_state = _read_record(beside)
    if not wrong and recorded and of_state == _state(target):
        if download.sha256 is not None and recorded != download.sha256:
            wrong = f"its SHA-256 is {recorded}, expected is {download.sha256}"
    elif not wrong:
        wrong = _wrong_hash(download, target, target)
    if wrong:
        raise UserError(wrong, where=str(target), hint=f"Remove it and {beside.name}, then fetch it again")


def _mirror_urls(download: Download, folder: Path, mirror: str | None) -> list[str]:
    if not mirror:
        return []
    if "://" in mirror:
        return [f"{mirror.rstrip('/')}/{folder.name}/{download.name}"]
    if not Path(mirror).is_dir():
        raise UserError(f"there is no folder {mirror!r}", where="mirror", why="A mirror is a folder or an address")
    return [(Path(mirror).resolve() / folder.name / download.name).as_uri()]


def _hash_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _state(path: Path) -> str:
    """Return size and time of a file; while both are as recorded, its hash is not computed again."""
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def _read_record(beside: Path) -> tuple[str, str]:
    """Read the hash that is written beside a file, and the file's state then; both are empty if there is none."""
    try:
        hashed, _, state = beside.read_text("utf-8").partition("\n")
    except FileNotFoundError:
        return "", ""
    return next(iter(hashed.split()), ""), state.removeprefix(STATE).strip()


def _finish(download: Download, part: Path, target: Path) -> str:
    """Rename a complete part to its final name, or empty it if its bytes are wrong and say what is wrong."""
    wrong = _wrong_size(download, part) or _wrong_hash(download, part, target)
    if wrong:
        begin_anew(part)
    else:
        part.replace(target)
        forget(part)
    return wrong


def _wrong_size(download: Download, path: Path) -> str:
    """Say what is wrong with a file's size; nothing if it is right or not known."""
    size = path.stat().st_size
    return "" if download.bytes in (None, size) else f"it has {counted(size, 'byte')}, expected are {download.bytes:,}"


def _wrong_hash(download: Download, path: Path, target: Path) -> str:
    """Say what is wrong with a file's hash; if nothing is, write its SHA-256 beside `target`.

    If no hash is published, the one of the first download is compared.
    """
    beside, state = _hash_file(target), _state(path)  # taken before: a file that changes while it is read is read again
    sha256 = _hash(path, "sha256")
    recorded = _read_record(beside)[0] or None
    publisher_says = download.sha256 or download.md5
    for name, found, expected in (
        ("SHA-256", sha256, download.sha256),
        ("MD5", _hash(path, "md5") if download.md5 else "", download.md5),
        ("SHA-256", sha256, None if publisher_says else recorded),
    ):
        if expected is not None and found != expected.lower():
            of_first = "" if publisher_says else f", which the first download had ({beside.name})"
            return f"its {name} is {found}, expected is {expected}{of_first}"
    if os.access(beside.parent, os.W_OK):  # a shared folder may be read-only
        # In the format of sha256sum, which ignores the comment.
        write_text(beside, f"{sha256}  {target.name}\n{STATE} {state}\n")
    return ""


def _hash(path: Path, name: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(name, usedforsecurity=False)).hexdigest()


@contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """Show a bar on a terminal; otherwise print a line at each tenth of the file and at least every minute."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(desc=name, unit="B", unit_scale=True) as bar:

            def update(there: int, total: int | None) -> None:
                bar.total = total
                bar.update(there - bar.n)

            yield update
        return
    last = {"tenth": -1, "time": time.monotonic()}

    def report(there: int, total: int | None) -> None:
        tenth = 10 * there // total if total else 0
        if tenth > last["tenth"] or time.monotonic() - last["time"] > 60:
            last.update(tenth=tenth, time=time.monotonic())
            of = f" of {total / 1e6:,.1f}" if total else ""
            print(f"{name}: {there / 1e6:,.1f}{of} MB", flush=True)

    yield report
