"""The commit of finecal's checkout is read without a trace: the user's own git may be at work in it at that moment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from finecal.io import provenance

COMMIT = provenance.commit.__wrapped__


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code.py").write_text("a = 1\n")
    monkeypatch.setattr(provenance, "finecal", SimpleNamespace(__file__=str(tmp_path / "code.py")))
    return tmp_path


def git(folder: Path, *words: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    return subprocess.run(
        ["git", "-C", str(folder), *own, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_nothing_is_committed_yet(checkout: Path) -> None:
    assert COMMIT() == ""


def test_what_is_said_while_git_is_at_work(checkout: Path) -> None:
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "a")
    head, index = git(checkout, "rev-parse", "HEAD"), checkout / ".git" / "index"
    os.utime(checkout / "code.py", (1e9, 1e9))  # whoever refreshes the index writes it now
    before = index.read_bytes()
    assert COMMIT() == head
    assert index.read_bytes() == before
    index.with_name("index.lock").touch()  # of the user's git
    (checkout / "other.py").touch()  # is not known to git
    assert COMMIT() == head
    (checkout / "code.py").write_text("a = 2\n")
    assert COMMIT() == f"{head}+"


@pytest.mark.parametrize("rights", [None, 0o644])
def test_without_a_git_that_can_be_run(
    rights: int | None, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rights is not None:
        (tmp_path / "git").touch(rights)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert COMMIT() == ""
