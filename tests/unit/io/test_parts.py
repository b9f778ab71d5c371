"""What a process writes has a name that nobody else has, and what dead ones have left is known by it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from finecal.io import parts
from finecal.io.atomic import whole_file
from finecal.io.parts import part_of, remove_left_parts

FILE = Path("results/a.parquet")
DEAD = 2**22 + 1  # no process has so high a number


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FILE.parent.mkdir()


def of_process(number: int) -> Path:
    return FILE.with_name(part_of(FILE).name.replace(f".{os.getpid()}.", f".{number}."))


def test_files_and_folders_of_dead_processes_are_removed() -> None:
    of_process(DEAD).mkdir()
    (of_process(DEAD) / "file").touch()
    of_process(DEAD + 1).touch()
    of_process(os.getppid()).touch()
    of_process(10**30).touch()  # no number that a process can have
    remove_left_parts(FILE)
    assert [*FILE.parent.iterdir()] == [of_process(os.getppid())]


def test_a_folder_that_is_removed_meanwhile() -> None:
    remove_left_parts(Path("gone/file"))
    parts.remove_part(Path("gone/file"))
    parts.remove_part(of_process(DEAD))
    assert [*FILE.parent.iterdir()] == []


def test_containers_that_share_a_hosts_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own numbers of processes: those of the other are not dead, though there is none here."""
    container: int = parts.OF_THE_MACHINE
    monkeypatch.setattr(parts, "NUMBERS", SimpleNamespace(stat=lambda: SimpleNamespace(st_ino=container)))
    with whole_file(FILE) as first:
        first.write_text("first")
        container = 4026532000
        monkeypatch.setattr(os, "getpid", lambda: DEAD)
        with whole_file(FILE) as second:
            assert first != second
            container = parts.OF_THE_MACHINE + 1  # a third one, for which both are strange
            remove_left_parts(FILE)
            assert first.exists()
            second.write_text("second")
        assert FILE.read_text() == "second"
    assert FILE.read_text() == "first"


def test_where_there_is_no_numbering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "NUMBERS", Path("no/such/file"))
    assert part_of(FILE).name == f".{FILE.name}.{os.uname().nodename}.{os.getpid()}.part"
