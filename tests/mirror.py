"""A web server on this machine that has a data set's files, and fails as servers and networks do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Mirror:
    """What the server has and how it fails.

    Attributes
    ----------
    files
        Path without a leading slash → content.
    faults
        Path → what happens to its next requests, one after the other, before they are answered well:

        - `drop`: half of what was asked for comes, then the connection ends;
        - `silent`: the connection ends before any answer;
        - `500`, `404`, … : this status;
        - `page`: a web page with status 200;
        - `wrong`: other bytes, as many;
        - `short`: the first half, announced as if it were the whole;
        - `unannounced`: the first half, without a length;
        - `whole`: all of it, whatever part was asked for;
        - `unasked`: a part from somewhere, though the whole was asked for.
    etags
        Whether the server tells versions apart.
    asked
        (path, the Range asked for or "") of each request so far.
    """

    files: dict[str, bytes]
    faults: dict[str, list[str]] = field(default_factory=dict)
    etags: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"


@contextmanager
def serve(files: Mapping[str, bytes], faults: Mapping[str, list[str]] | None = None) -> Iterator[Mirror]:
    """Serve files until the end of the block."""
    mirror = Mirror(dict(files), dict(faults or {}))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, mirror)

        def do_HEAD(self) -> None:
            _answer(self, mirror)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    mirror.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, mirror: Mirror) -> None:
    path = handler.path.removeprefix("/")
    asked = handler.headers.get("Range", "")
    mirror.asked.append((path, asked))
    waiting = mirror.faults.get(path, [])
    fault = waiting.pop(0) if waiting else ""
    content = mirror.files.get(path)
    if fault == "silent":
        handler.close_connection = True
    elif fault == "page":
        _send(handler, 200, b"<html>Please sign in.</html>", {"Content-Type": "text/html; charset=utf-8"})
    elif fault.isdecimal() or content is None:
        _send(handler, int(fault or 404), b"")
    else:
        _send_file(handler, mirror, content, asked, fault)


def _send_file(handler: BaseHTTPRequestHandler, mirror: Mirror, content: bytes, asked: str, fault: str) -> None:
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"Content-Type": "application/octet-stream", **({"ETag": etag} if mirror.etags else {})}
    start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
    same = handler.headers.get("If-Range", etag) == etag
    if asked and start >= len(content):
        _send(handler, 416, b"", {"Content-Range": f"bytes */{len(content)}"})
        return
    status = 206 if asked and same and fault != "whole" else 200
    body = content[start:] if status == 206 else content
    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    if fault == "wrong":
        body = bytes(255 - byte for byte in body)
    if fault == "unasked":
        status, headers["Content-Range"] = 206, f"bytes 7-{len(content) - 1}/{len(content)}"
    half = body[: len(body) // 2]
    if fault == "drop":
        _send(handler, status, half, {**headers, "Content-Length": str(len(body))})
    elif fault == "short":
        _send(handler, status, half, headers)
    elif fault == "unannounced":
        _send(handler, status, half, {**headers, "Content-Length": ""})
    else:
        _send(handler, status, body, headers)


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        if value:
            handler.send_header(name, value)
    handler.send_header("X-Repo-Commit", "0" * 40)  # what the hub's library wants to know
    handler.end_headers()
    if handler.command == "GET":
        with suppress(BrokenPipeError, ConnectionResetError):  # a client that has seen enough hangs up
            handler.wfile.write(body)
    handler.close_connection = True


MODULE = '''"""A miniature: the data set {name} as it is, but for the addresses and the hashes of its files."""

from dataclasses import replace

from finecal.datasets import {name} as real
from finecal.datasets.{name} import *  # noqa: F403

SITE = {address!r}
SHA256 = {hashes!r}


def _here(files):
    urls = lambda name: tuple(f"{{SITE}}/{{place}}/{{name}}" for place in ("first", "second"))
    return tuple(replace(f, urls=urls(f.name), bytes=None, md5=None, sha256=SHA256.get(f.name)) for f in files)


def downloads(domain, options):
    return _here(real.downloads(domain, options))


def official_downloads(options):
    return _here(getattr(real, "official_downloads", lambda options: ())(options))
'''


def write_module(folder: Path, name: str, mirror: Mirror) -> Path:
    """A data set file of the user's own, which takes the files of a built-in data set from this server.

    The server has them as `first/NAME` and `second/NAME`, and the module knows their hashes.
    """
    hashes = {path.partition("/")[2]: hashlib.sha256(content).hexdigest() for path, content in mirror.files.items()}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.py"
    file.write_text(MODULE.format(name=name, address=mirror.address, hashes=hashes))
    return file


def twice(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files at the two addresses that `write_module` gives."""
    return {f"{place}/{name}": content for place in ("first", "second") for name, content in files.items()}
