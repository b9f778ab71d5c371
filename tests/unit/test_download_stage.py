"""`finecal download DATASET`: which files a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from finecal.errors import UserError
from finecal.plan import Plan
from finecal.stages.download import download


def test_a_module_with_an_option_that_must_be_given_says_so() -> None:
    with pytest.raises(UserError, match=r"it needs the option 'task'\. Hint: Name a study"):
        download(Plan(["digits"]), "vtab", None)


@pytest.mark.parametrize("name", ["digits", "toy", "image_folder"])
def test_data_sets_without_files_need_nothing(name: str) -> None:
    assert download(Plan(["digits"]), name, None) == f"{name}: needs nothing from the network"


def test_unknown_names_are_told_from_data_sets_and_modules() -> None:
    with pytest.raises(UserError, match="caltech101"):
        download(Plan(["vtab"]), "caltech102", None)


@pytest.mark.parametrize("name", ["caltech101", "vtab"])
def test_a_data_set_of_a_study_or_all_of_its_module(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Path] = []
    monkeypatch.setattr("finecal.stages.download.fetch_all", lambda files, mirror: fetched.extend(files))
    assert download(Plan(["small/vtab"]), name, None) == "resources/vtab/caltech-101.zip: checked"
    assert fetched == [Path("resources/vtab/caltech-101.zip")]
