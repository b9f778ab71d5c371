"""Ask an address for the bytes of a file from a position on, and for the version that they belong to.

`requests` uses the proxies, certificates and redirects that are set up on a machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests

CHUNK = 1 << 16  # bytes that are lost at most when a connection breaks
TIMEOUT = (20.0, 60.0)  # seconds to connect, and to wait for the next byte


class Failed(Exception):  # noqa: N818 - another address may still give the file
    """An address does not give the file; `again` tells whether another try may help."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


@dataclass(frozen=True)
class Version:
    """The version of a file at an address: `etag` and `date` are the server's, empty if it gives none."""

    url: str
    total: int | None = None
    etag: str = ""
    date: str = ""

    @property
    def known(self) -> bool:
        """Whether the server can distinguish this version from others."""
        return self.total is not None and bool(self.etag or self.date)


@dataclass(frozen=True)
class Answer:
    """The bytes of a version from position `start` on."""

    version: Version
    start: int
    chunks: Iterator[bytes]


def ask(url: str, start: int, kept: Version | None, page: bool) -> Answer:
    """Ask for the bytes from `start` on, of the version `kept` if the server still has it.

    Parameters
    ----------
    page
        Whether the file is a web page.

    Raises
    ------
    Failed
        If the address does not give the file; it may also be raised while the chunks are read.
    """
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
            try:
                while chunk := file.read(CHUNK):
                    yield chunk
            except OSError as error:
                raise Failed(error.strerror or str(error)) from error

    return Answer(Version(url, found.st_size, date=str(found.st_mtime_ns)), start, chunks())


def _ask_http(url: str, start: int, kept: Version | None, page: bool) -> Answer:
    headers = {"Accept-Encoding": "identity"}  # size and hash are those of the stored bytes
    if start and kept:
        headers["Range"] = f"bytes={start}-"
        if kept.etag and not kept.etag.startswith("W/"):  # a weak one may stand for different bytes
            headers["If-Range"] = kept.etag
        elif kept.date:
            headers["If-Range"] = kept.date
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.exceptions.RequestException as error:
        again = isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout))
        raise Failed(_reason(error), again=again and not _is_unknown_host(error)) from error
    if response.status_code == 416 and start:  # the bytes that are kept are not the beginning of this version
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
            if not start:
                raise Failed("it gives a part of the file instead of the whole")
            return _ask_http(url, 0, None, page)
    version = Version(url, total, response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
    return Answer(version, begin, _body(response))


def _content_range(value: str) -> tuple[int, int | None]:
    """Parse the header Content-Range: `bytes 100-199/1000` → (100, 1000)."""
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
    """Return the innermost cause in one line; the errors that urllib3 wraps around it add nothing."""
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
