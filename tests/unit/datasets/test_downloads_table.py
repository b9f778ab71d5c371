"""downloads.csv: every file that a data set is made from stands there once, and says what a person wants to know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest

from finecal import registry
from finecal.data.dataset import DataSet
from finecal.datasets import TABLE, _official, find_downloads, published_files
from finecal.datasets._vtab import TASKS
from finecal.download.table import COLUMNS, NO_HASH, PublishedFile, read_published

ROWS = published_files()
# Options that choose among files; image_folder has none.
CHOICES: dict[str, list[dict[str, Any]]] = {
    "cifar_c": [{"classes": 10}, {"classes": 100}],
    "office_home": [{"archives": "library"}, {"archives": "publisher"}],
    "vtab": [{"task": task} for task in TASKS],
}
BUILT_IN = [name for name in registry.names("dataset") if name != "image_folder"]
named = pytest.mark.parametrize("row", ROWS, ids=[row.download.name for row in ROWS])


def variants() -> Iterator[DataSet]:
    for name in BUILT_IN:
        yield from (DataSet(name, options) for options in CHOICES.get(name, [{}]))


def test_every_option_that_chooses_files_is_tried() -> None:
    for name, options in CHOICES.items():
        (key,) = options[0]
        field = registry.load("dataset", name).Options.model_fields[key]
        assert [one[key] for one in options] == list(get_args(field.annotation))


def test_the_files_of_data_sets_are_the_rows_of_the_table_no_more_no_less() -> None:
    used = {
        (data_set.source, file)
        for data_set in variants()
        for file in chain(data_set.all_downloads(), data_set.official_downloads())
    }
    assert used == {(name, row.download) for row in ROWS for name in row.datasets}


def test_a_name_stands_for_one_file() -> None:
    names = [(dataset, row.download.name) for row in ROWS for dataset in row.datasets]
    assert len({*names}) == len(names)
    assert {name for name, _ in names} <= {*registry.names("dataset")}


@named
def test_sizes_hashes_and_addresses_are_well_formed(row: PublishedFile) -> None:
    file = row.download
    assert (file.bytes is None) != (file.about is None)
    assert (file.bytes or file.about or 0) > 0
    assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert file.md5 is None or re.fullmatch("[0-9a-f]{32}", file.md5)
    assert file.urls or file.by_hand
    assert all(urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname for url in file.urls)
    assert len({*file.urls}) == len(file.urls)
    assert Path(file.name).name == file.name


@named
def test_it_says_version_date_and_who_gives_the_hash(row: PublishedFile) -> None:
    assert row.version
    assert re.fullmatch(r"(19|20)\d\d", row.date)
    assert row.hash_from
    assert (row.hash_from == NO_HASH) == (row.download.sha256 is None and row.download.md5 is None)


@named
def test_the_licence_is_that_of_the_module(row: PublishedFile) -> None:
    """The lists of the published code have its licence, and each task of VTAB its own."""
    if "published code" in row.version:
        assert row.licence == _official.LICENCE
    elif row.datasets == ("vtab",):
        assert row.licence
    else:
        (licence,) = {registry.constant("dataset", name, "LICENCE") for name in row.datasets if name != "vtab"}
        assert row.licence == licence


def test_the_tasks_of_vtab_have_the_licence_that_the_docs_say() -> None:
    page = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text("utf-8")
    cells = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    said = {row[0].strip("`"): row[-1] for row in cells if row[0].strip("`") in TASKS}
    assert said.keys() == TASKS.keys()
    for task in TASKS.keys() - {"cifar100"}:
        (licence,) = {row.licence for row in ROWS for name in TASKS[task].files if row.download.name == name}
        assert licence.startswith(said[task])


def test_an_unknown_file_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"PACS\.tar"):
        find_downloads("pacs", "PACS.tar")
    with pytest.raises(KeyError):
        find_downloads("digits", "PACS.zip")


def test_another_form_of_the_table_is_refused(tmp_path: Path) -> None:
    header, *rows = TABLE.read_text("utf-8").splitlines()
    assert header == ",".join(COLUMNS)
    other = tmp_path / "downloads.csv"
    other.write_text("\n".join([header.replace("md5", "hash"), *rows]), "utf-8")
    with pytest.raises(ValueError, match="the columns must be datasets, file"):
        read_published(other)
    other.write_text("\n".join([header, rows[0].replace(",8088,", ",8 kB,")]), "utf-8")
    with pytest.raises(ValueError, match="8 kB"):
        read_published(other)
