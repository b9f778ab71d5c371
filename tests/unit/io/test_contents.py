"""Hashes of files that are read again only when they may have changed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from finecal import paths
from finecal.io import contents
from finecal.io.contents import content_hash, content_hashes

OLD = time.time_ns() - 10**12


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the files had been written long before they are read: ctime cannot be set."""
    monkeypatch.setattr(contents, "RACY", -(10**12))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read, as they come."""
    found: list[str] = []

    def noting(path: str) -> str:
        found.append(os.fspath(path))
        return content_hash(path)

    monkeypatch.setattr(contents, "content_hash", noting)
    return found


def files(*names: str) -> list[Path]:
    Path("data").mkdir(exist_ok=True)
    for name in names:
        Path("data", name).write_bytes(name.encode())
    return [Path("data", name) for name in names]


def wanted(*texts: str) -> list[str]:
    return [sha256(text.encode()).hexdigest() for text in texts]


def note() -> Path:
    (found,) = Path(paths.CONTENTS).iterdir()
    return found


def test_a_hash_is_that_of_the_bytes() -> None:
    (file,) = files("a")
    assert content_hash(file) == wanted("a")[0]


def test_what_has_not_changed_is_not_read_again(read: list[str]) -> None:
    names = [f"{i}.png" for i in range(200)]  # several parts, read by several threads
    found = files(*names)
    assert content_hashes(found, "data") == wanted(*names)
    assert sorted(read) == sorted(map(str, found))
    read.clear()
    assert content_hashes(found[::-1], "data") == wanted(*names[::-1])
    assert read == []


def test_what_has_changed_is_read_again_alone(read: list[str]) -> None:
    found = files("a", "b", "c", "d")
    content_hashes(found, "data")
    read.clear()
    os.utime(found[0], ns=(OLD, OLD))  # touched: the same bytes
    found[1].write_bytes(b"longer")
    found[2].unlink()
    assert content_hashes(found, "data") == [*wanted("a", "longer"), None, *wanted("d")]
    assert sorted(read) == ["data/a", "data/b"]


def test_a_time_that_is_set_back_hides_nothing() -> None:
    """Size, name and time of modification are as noted; the time of the last change cannot be set."""
    (file,) = files("a")
    os.utime(file, ns=(OLD, OLD))
    content_hashes([file], "data")
    file.write_bytes(b"b")
    os.utime(file, ns=(OLD, OLD))
    assert content_hashes([file], "data") == wanted("b")


def test_what_was_just_written_is_not_noted(monkeypatch: pytest.MonkeyPatch, read: list[str]) -> None:
    """It may change once more within the same tick of the clock."""
    monkeypatch.setattr(contents, "RACY", 2_000_000_000)
    found = files("a", "b")
    os.utime(found[0], ns=(OLD, OLD))  # the time of the last change is now all the same
    for _ in range(2):
        assert content_hashes(found, "data") == wanted("a", "b")
    assert len(read) == 4
    assert not Path(paths.CONTENTS).exists()
    monkeypatch.setattr(time, "time_ns", lambda: found[1].stat().st_ctime_ns + 2_000_000_001)
    content_hashes(found, "data")
    read.clear()
    assert content_hashes(found, "data") == wanted("a", "b")
    assert read == []


def test_what_changes_while_it_is_read_is_not_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = files("a")

    def changed_meanwhile(path: str) -> str:
        found = content_hash(path)
        Path(path).write_bytes(b"other")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(contents, "content_hash", changed_meanwhile)
        content_hashes([file], "data")
    assert content_hashes([file], "data") == wanted("other")


def test_a_moved_working_directory_keeps_its_notes(
    here: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    """Files elsewhere are known by their absolute path."""
    (here / "one").mkdir()
    monkeypatch.chdir(here / "one")
    found = [*files("a"), here / "b"]
    found[1].write_bytes(b"b")
    content_hashes([found[0].absolute(), found[1]], str(Path("data").absolute()))
    (here / "one").rename(here / "two")
    monkeypatch.chdir(here / "two")
    read.clear()
    assert content_hashes(found, "data") == wanted("a", "b")
    assert read == []


def test_moved_files_have_the_same_hashes() -> None:
    before = content_hashes(files("a", "b"), "data")
    Path("data").rename("moved")
    assert content_hashes([Path("moved/a"), Path("moved/b")], "moved") == before


@pytest.mark.parametrize("damage", [b"", b"finecal contents 1 ", b"\xff\x00\n\xfe", "cut", "changed", "folder"])
def test_a_damaged_note_costs_only_time(damage: bytes | str, read: list[str]) -> None:
    found = files("a", "b")
    content_hashes(found, "data")
    whole = note().read_bytes()
    if isinstance(damage, bytes):
        note().write_bytes(damage)
    elif damage == "cut":
        note().write_bytes(whole[:-9])
    elif damage == "changed":
        note().write_bytes(whole.replace(wanted("a")[0].encode(), wanted("b")[0].encode()))
    else:
        place = note()
        place.unlink()
        place.mkdir()
    read.clear()
    assert content_hashes(found, "data") == wanted("a", "b")
    assert sorted(read) == ["data/a", "data/b"]
    assert note().is_dir() == (damage == "folder")
    assert note().is_dir() or note().read_bytes() == whole


def test_without_a_place_to_write_everything_is_read_again(read: list[str]) -> None:
    found = files("a")
    Path(paths.CONTENTS).parent.write_text("in the way")
    for _ in range(2):
        assert content_hashes(found, "data") == wanted("a")
    assert len(read) == 2


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO])
def test_a_note_that_cannot_be_written_costs_only_time(
    error: int, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    found = files("a")

    def refused(path: Path, data: bytes) -> int:
        raise OSError(error, os.strerror(error), str(path))

    monkeypatch.setattr(Path, "write_bytes", refused)
    for _ in range(2):
        assert content_hashes(found, "data") == wanted("a")
    assert len(read) == 2
    assert list(Path(paths.CONTENTS).iterdir()) == []


def test_what_is_no_file_has_no_hash(here: Path) -> None:
    (file,) = files("a")
    os.mkfifo("pipe")  # to open one would wait for ever
    Path("link").symlink_to(file)
    Path("loose").symlink_to("nowhere")
    found = ["pipe", "data", "nowhere", "link", "loose", "with\0zero", here / "data" / "a"]
    assert content_hashes(found, "data") == [None, None, None, *wanted("a"), None, None, *wanted("a")]


def test_names_of_any_bytes(read: list[str]) -> None:
    name = os.fsdecode(b"data/\xff\n \xc3\xa9")
    Path("data").mkdir()
    Path(name).write_bytes(b"a")
    for _ in range(2):
        assert content_hashes([name], "data") == wanted("a")
    assert read == [name]


def test_an_interrupted_look_keeps_what_it_has_read(monkeypatch: pytest.MonkeyPatch, read: list[str]) -> None:
    names = [f"{i:03}" for i in range(100)]
    found = files(*names)

    def interrupted(path: str) -> str:
        if path == "data/099":
            raise KeyboardInterrupt
        return content_hash(path)

    with monkeypatch.context() as patched:
        patched.setattr(contents, "content_hash", interrupted)
        with pytest.raises(KeyboardInterrupt):
            content_hashes(found, "data")
    assert content_hashes(found, "data") == wanted(*names)
    assert 0 < len(read) < 100


def test_several_processes_at_once() -> None:
    names = [f"{i}.png" for i in range(300)]
    found = files(*names)
    code = (
        "import pathlib, sys; from finecal.io import contents; contents.RACY = -10**12\n"
        "files = sorted(pathlib.Path('data').iterdir())\n"
        "for _ in range(20):\n"
        "    hashes = contents.content_hashes(files, 'data')\n"
        "    assert None not in hashes and len(set(hashes)) == 300\n"
        "    files[int(sys.argv[1])].touch()\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(i)], stderr=subprocess.PIPE) for i in range(3)]
    for process in started:
        assert process.communicate(timeout=60)[1] == b""
        assert process.returncode == 0
    assert content_hashes(found, "data") == wanted(*names)
    assert [path.name for path in Path(paths.CONTENTS).iterdir()] == [note().name]


def test_long_reading_is_announced(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(contents, "ANNOUNCE_FROM", 3)
    content_hashes(files("ab", "cd"), "data")
    assert capsys.readouterr().err.startswith("Reading 2 files of data (0.0 GiB) that may have changed; their hashes ")
    content_hashes(files("ab"), "other")
    assert capsys.readouterr().err == ""
