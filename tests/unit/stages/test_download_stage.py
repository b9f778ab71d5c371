"""`finecal download DATASET`: which files a name means."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from finecal.datasets import published_files
from finecal.datasets._vtab import TASKS
from finecal.download.table import PublishedFile
from finecal.errors import UserError
from finecal.plan.plan import Plan
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


def names_in_the_docs(row: PublishedFile) -> set[str]:
    """The data sets that use a file; in place of vtab, the tasks that do."""
    tasks = {name for name, task in TASKS.items() if "vtab" in row.datasets and row.download.name in task.files}
    return tasks or {*row.datasets}


def test_the_docs_say_what_has_no_second_address() -> None:
    hosts = {row: {urlsplit(url).hostname for url in row.download.urls} for row in published_files()}
    alone = {name for row, some in hosts.items() if len(some) < 2 for name in names_in_the_docs(row)}
    text = " ".join((Path(__file__).parents[3] / "docs" / "datasets.md").read_text("utf-8").split())
    sentence = re.search(r"No second one is known to us for (.*?) is the other way", text)
    assert sentence
    assert set(re.findall(r"`(\w+)`", sentence[1])) == alone
