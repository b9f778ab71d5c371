"""An exported folder gets its name whole, whoever else gives it at the same time, and leaves nothing beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from finecal.errors import UserError
from finecal.export.contents import whole_folder
from finecal.io.parts import part_of

PLACE = Path("export/alg")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str) -> None:
    with whole_folder(PLACE, known=True) as part:
        (part / "calibration.json").write_text(text)


def left() -> list[str]:
    return [one.name for one in PLACE.parent.iterdir()]


def test_an_earlier_one_is_replaced() -> None:
    PLACE.mkdir(parents=True)
    for text in ("first", "second"):
        write(text)
        assert (PLACE / "calibration.json").read_text() == text
        assert left() == [PLACE.name]


def test_two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a job whose Snakemake was killed, and the same job of the next one: whichever is last stays."""
    write("earlier")
    with whole_folder(PLACE, known=True) as first:
        (first / "calibration.json").write_text("first")
        other_process = os.getppid()
        with monkeypatch.context() as other:
            other.setattr(os, "getpid", lambda: other_process)
            write("second")
    assert (PLACE / "calibration.json").read_text() == "first"
    assert left() == [PLACE.name]


@pytest.mark.parametrize("takes", ["puts its own there", "puts the earlier one aside"])
def test_another_comes_between(takes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write("earlier")
    rename, done = Path.rename, []

    def slowly(path: Path, target: Path) -> Path:
        if not done and (path == PLACE) == (takes == "puts the earlier one aside"):
            done.append(path)
            if path == PLACE:
                rename(path, Path("elsewhere"))
            else:
                (PLACE / "more").mkdir()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", slowly)
    write("own")
    assert done
    assert (PLACE / "calibration.json").read_text() == "own"
    assert left() == [PLACE.name]


def test_what_a_killed_process_has_left() -> None:
    """In a container the next one often has its number."""
    for folder in (part_of(PLACE), part_of(PLACE.with_name("alg.before"))):
        for number in (os.getpid(), 2**22 + 1):
            one = folder.with_name(folder.name.replace(f".{os.getpid()}.", f".{number}."))
            one.mkdir(parents=True)
            (one / "file").touch()
    write("own")
    assert [one.name for one in PLACE.iterdir()] == ["calibration.json"]
    assert left() == [PLACE.name]


def test_a_file_of_that_name_stays() -> None:
    PLACE.parent.mkdir()
    PLACE.write_text("mine")
    with pytest.raises(UserError, match=r"export/alg: cannot be written \(Not a directory\)"):
        write("own")
    assert PLACE.read_text() == "mine"
    assert left() == [PLACE.name]
