"""Whatever a reader raises is an error of its file; finecal's own mistakes are not."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finecal.errors import UserError
from finecal.io import outside
from finecal.io.outside import read_lines, read_text, reading


def raised(error: BaseException) -> Callable[[], Any]:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (raised(FileNotFoundError(2, "No such file")), "x: this file is missing."),
        (raised(PermissionError(13, "Permission denied")), "x: not readable as JSON (Permission denied)."),
        (raised(KeyError("a")), "x: not readable as JSON (KeyError: 'a')."),
        (raised(EOFError()), "x: not readable as JSON (EOFError)."),
        (lambda: struct.unpack("<q", b""), "x: not readable as JSON (unpack requires a buffer of 8 bytes)."),
        (raised(RecursionError("maximum recursion depth exceeded")), "x: not readable as JSON (nested too deeply)."),
        # Raised in lines that are not finecal's.
        (lambda: json.JSONDecoder().decode(None), "x: not readable as JSON (expected string or bytes-like object"),  # type: ignore[arg-type]
    ],
)
def test_what_others_raise(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(UserError) as error, reading("x", "JSON"):
        call()
    assert str(error.value).startswith(said)


def test_too_large_for_the_memory() -> None:
    said = "x: reading this as JSON takes more memory than there is"
    with pytest.raises(UserError, match=said), reading("x", "JSON"):
        raised(MemoryError())()


def test_a_refusal_stays_as_it_is() -> None:
    with pytest.raises(UserError, match=r"^no\.$"), reading("x", "JSON"):
        raise UserError("no")


def test_own_mistakes_and_missing_packages_stay_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "PACKAGE", Path(__file__).parent)  # lines of this file are finecal's
    with pytest.raises(AttributeError), reading("x", "JSON"):
        raise AttributeError("anything")
    with pytest.raises(ModuleNotFoundError), reading("x", "JSON"):
        raise ModuleNotFoundError("h5py")


@pytest.mark.parametrize(
    ("content", "said"), [(b"a\xff", "byte 1 is not UTF-8"), (b"a\0b", "it has bytes that are zero")]
)
def test_what_is_no_text(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_text(tmp_path / "a.txt")


def test_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeffone \n\n two\n", "utf-8")
    assert read_lines(tmp_path / "a.txt") == ["one", "two"]
    with pytest.raises(UserError, match="this file cannot be read"):
        read_lines(tmp_path)


def test_messages_move_no_cursor() -> None:
    said = str(UserError("no \x1b[2J\x07 class", where="a\rb\u202e"))
    assert said == "a\\rb\\u202e: no \\x1b[2J\\x07 class."
    assert len(str(UserError("a" * 10**6))) < 3000


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """Whoever opens it waits for somebody who writes to it, perhaps for ever."""
    pipe = tmp_path / "logits.parquet"
    os.mkfifo(pipe)
    said = f"{pipe}: this is a pipe, not a file. Hint: Write what comes out of it to a file, and give that."
    with pytest.raises(UserError) as caught, reading(pipe, "Parquet"):
        pipe.read_bytes()
    assert str(caught.value) == said
    with pytest.raises(UserError) as caught:
        read_text(pipe)
    assert str(caught.value) == said
