"""One file from one address, in as many tries as it takes: what has arrived is kept and gone on from.

An unfinished file lies as `NAME.part` beside its final place, with `NAME.part.json` that says where it is from and
which version it is a part of (the server's ETag or date, and the size). The server is asked for the rest of that
version only (HTTP `Range` with `If-Range`); where the version has changed, or the server does not send parts, it
begins anew.

`requests` brings proxies, certificates and redirects as they are set up on a machine; its own retries end where a body
begins, and a body of gigabytes is where the connection breaks, hence the loop here.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests

from finecal.errors import UserError

CHUNK = 1 << 16  # what is lost at most when a connection breaks
TIMEOUT = (20.0, 60.0)  # seconds to connect, and without a byte
TRIES = 6  # in a row without a byte more
WAIT = 1.0  # seconds before the second try, doubled for each further one

Progress = Callable[[int, int | None], None]


class Failed(Exception):  # noqa: N818 - of an address, which is not yet an error
    """An address that does not give the file; `again` if another try may help."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


@dataclass(frozen=True)
class Version:
    """What a part is a part of: `etag` and `date` are the server's, empty where it gives none."""

    url: str
    total: int | None = None
    etag: str = ""
    date: str = ""

    @property
    def known(self) -> bool:
        """Whether the server can tell this version from another."""
        return self.total is not None and bool(self.etag or self.date)


@dataclass(frozen=True)
class Answer:
    """The bytes of a version from position `start` on."""

    version: Version
    start: int
    chunks: Iterator[bytes]


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
    """Bring the whole file of an address (http, https or file) into `part`.

    Parameters
    ----------
    expected
        Its size in bytes, if the publisher says it: another size is refused before anything is fetched.
    progress
        Called with the bytes that are there and the bytes that there will be (None: not known).
    page
        Whether the file is a web page; otherwise a web page is what a site shows instead of the file.
    tries
        How often in a row it is asked without a byte more.
    wait
        Seconds before the second try, doubled for each further one.

    Raises
    ------
    Failed
        If the address does not give the file.
    UserError
        If the disk has not enough space, or another process is fetching the same file.
    """
    with _alone(part):
        failures = 0
        while True:
            before = part.stat().st_size
            try:
                _once(url, part, expected, progress, page)
                return
            except Failed as failed:
                failures = 1 if part.stat().st_size > before else failures + 1
                if not failed.again or failures >= tries:
                    raise
                pause = wait * 2 ** (failures - 1)
                print(f"{url}: {failed}; trying again in {pause:g} s", flush=True)
                time.sleep(pause)


def forget(part: Path) -> None:
    """Remove a part and what is known of it."""
    for path in (part, _note(part)):
        with suppress(FileNotFoundError):
            path.unlink()


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Only one process writes a part; where the file system has no locks, Snakemake's own lock has to do."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError("another process is fetching this file", where=str(part)) from error
        except OSError:
            pass  # e.g. NFS without locks
        yield


def _once(url: str, part: Path, expected: int | None, progress: Progress, page: bool) -> None:
    """One try. What has arrived stays in the part, also if this fails."""
    kept = _kept(url, part)
    start = part.stat().st_size if kept else 0
    if kept and start == kept.total:
        return
    answer = _ask(url, start, kept, page)
    total = answer.version.total
    if expected is not None and total is not None and total != expected:
        raise Failed(f"it has {total:,} bytes there, {expected:,} are expected")
    if kept and answer.version != kept:
        answer = answer if answer.start == 0 else _ask(url, 0, None, page)
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
        raise Failed(f"the connection ended after {arrived:,} of {total:,} bytes", again=True)
    if total is not None and arrived > total:
        forget(part)
        part.touch()
        raise Failed(f"{arrived:,} bytes came, {total:,} were announced", again=True)


def _kept(url: str, part: Path) -> Version | None:
    """The version that a part belongs to, if the rest of it can be asked for."""
    try:
        version = Version(**json.loads(_note(part).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return version if version.url == url and version.known else None


def _ask(url: str, start: int, kept: Version | None, page: bool) -> Answer:
    return _ask_file(url, start) if urlsplit(url).scheme == "file" else _ask_http(url, start, kept, page)


def _ask_file(url: str, start: int) -> Answer:
    path = Path(url2pathname(urlsplit(url).path))
    try:
        found = path.stat()
        file = path.open("rb")
    except OSError as error:
        raise Failed(error.strerror or str(error)) from error
    file.seek(start)

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(CHUNK):
                yield chunk

    return Answer(Version(url, found.st_size, date=str(found.st_mtime_ns)), start, chunks())


def _ask_http(url: str, start: int, kept: Version | None, page: bool) -> Answer:
    headers = {"Accept-Encoding": "identity"}  # the bytes as they are stored: those have the size and the hash
    if start and kept:
        headers["Range"] = f"bytes={start}-"
        if kept.etag and not kept.etag.startswith("W/"):  # weak ones do not promise the same bytes
            headers["If-Range"] = kept.etag
        elif kept.date:
            headers["If-Range"] = kept.date
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.exceptions.RequestException as error:
        again = isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout))
        raise Failed(_reason(error), again=again and not _is_unknown_host(error)) from error
    if response.status_code == 416:  # what is there does not begin this version
        response.close()
        return _ask_http(url, 0, None, page)
    if response.status_code not in (200, 206):
        response.close()
        again = response.status_code >= 500 or response.status_code in (408, 425, 429)
        raise Failed(f"HTTP {response.status_code} {response.reason}".rstrip(), again=again)
    if response.headers.get("Content-Type", "").startswith("text/html") and not page:
        response.close()
        raise Failed("it gives a web page instead of the file")
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    begin = 0
    if response.status_code == 206:
        begin, total = _content_range(response.headers.get("Content-Range", ""))
        if begin != start:
            response.close()
            return _ask_http(url, 0, None, page)
    version = Version(url, total, response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
    return Answer(version, begin, _body(response))


def _content_range(value: str) -> tuple[int, int | None]:
    """`bytes 100-199/1000` → (100, 1000)."""
    span, _, whole = value.removeprefix("bytes ").partition("/")
    first = span.partition("-")[0]
    return (int(first) if first.isdecimal() else -1), (int(whole) if whole.isdecimal() else None)


def _body(response: requests.Response) -> Iterator[bytes]:
    with response:
        try:
            yield from response.iter_content(CHUNK)
        except requests.exceptions.RequestException as error:
            raise Failed(_reason(error), again=True) from error


def _reason(error: Exception) -> str:
    """The innermost cause in a line; what urllib3 wraps around it says nothing more."""
    if _is_unknown_host(error):
        return "no such host, or no network"
    inner: BaseException = error
    while True:
        deeper = inner.__cause__ or inner.__context__ or getattr(inner, "reason", None)
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    return f"{type(inner).__name__}: {str(inner).splitlines()[0] if str(inner) else 'no further reason'}"


def _is_unknown_host(error: Exception) -> bool:
    return "NameResolution" in repr(error)


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise UserError(
            f"this file needs {needed:,} bytes more, the disk has {free:,} left", where=str(part.with_suffix("")),
            hint="Free some space, or make `resources` a link to a larger disk; what is fetched already is kept",
        )  # fmt: skip
