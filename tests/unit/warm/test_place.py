"""Where the warm process is found: elsewhere, where temporary files cannot be. What is left of others that are gone."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from finecal.errors import UserError
from finecal.warm import place
from finecal.warm.place import make_place

PROGRAM = str(Path(sys.executable).parent / "finecal")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder in which a socket's path is short enough, which those of pytest need not be."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def first(short: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are."""
    folder = short / "first"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def second(short: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only other place."""
    folder = short / "second"
    folder.mkdir()
    monkeypatch.setattr(place, "OTHERS", (str(folder),))
    return folder


def made() -> Path:
    folder, listener = make_place(PROGRAM)
    listener.close()
    return folder


@pytest.fixture(params=["full", "long", "no programs", "gone"])
def trouble(
    request: pytest.FixtureRequest, first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """What is wrong with the first place, and what is said of it."""
    if request.param == "full":
        write = Path.write_text

        def full(path: Path, *given: str) -> int:
            if first in path.parents and path.name == "finecal":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(path, *given)

        monkeypatch.setattr(Path, "write_text", full)
        yield "No space left on device"
    elif request.param == "long":
        monkeypatch.setattr(place, "LONGEST", len(os.fsencode(second)) + 30)
        monkeypatch.setattr(tempfile, "tempdir", str(first / ("a" * 40)))
        (first / ("a" * 40)).mkdir()
        yield "its path is too long for a socket"
    elif request.param == "no programs":
        monkeypatch.setattr(os, "access", lambda path, mode: first not in Path(path).parents)
        yield "no program can be run there"
    else:
        first.rmdir()
        yield "No such file or directory"


def test_another_place_is_taken(trouble: str, first: Path, second: Path) -> None:
    assert made().parent == second
    assert [one for one in first.glob("**/*") if one.is_file()] == []


def test_where_there_is_none_each_is_told(trouble: str, first: Path, second: Path) -> None:
    second.rmdir()
    with pytest.raises(UserError) as caught:
        make_place(PROGRAM)
    assert str(caught.value) == (
        f"there is no folder for its socket. {tempfile.tempdir}: {trouble}; {second}: No such file or directory."
    )


def test_a_program_that_has_lost_its_client_is_the_ordinary_one(first: Path) -> None:
    """Somebody may clean up temporary files while jobs run."""
    folder = made()
    (folder / "client.pyc").unlink()
    done = subprocess.run([folder / "finecal", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("finecal ")


@pytest.fixture
def old(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are older than any that is being made."""
    monkeypatch.setattr(place, "MADE", 0.0)


@pytest.mark.usefixtures("old")
def test_what_is_left_of_a_killed_one_is_removed(first: Path) -> None:
    left = made()
    folder, listener = make_place(PROGRAM)
    with listener:
        assert not left.exists()
        made()
        assert folder.exists()  # somebody listens there


def test_one_that_is_being_made_is_kept(first: Path) -> None:
    left = made()
    made()
    assert left.exists()


@pytest.mark.usefixtures("old")
def test_those_of_others_are_kept(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another host, which may listen there, another user, and whoever gave a folder such a name."""
    elsewhere, of_somebody, named = made(), first / "kept", first / f"{place.PREFIX}named"
    (elsewhere / "host").write_text("elsewhere")
    named.mkdir()
    made()
    assert elsewhere.exists()
    assert named.exists()
    (elsewhere / "host").unlink()
    with monkeypatch.context() as patch:
        uid = os.getuid()
        patch.setattr(os, "getuid", lambda: uid + 1)
        of_somebody = made()
        made()
    assert of_somebody.exists()
