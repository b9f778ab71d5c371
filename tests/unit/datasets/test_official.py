"""The paper's class orders and lists: parsed, never run; official splits and the tasks that they are for."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from finecal.config import OfficialSplit
from finecal.config.groups import PAPER, SELECTIONS
from finecal.config.official_splits import official_classes
from finecal.data.dataset import DataSet
from finecal.datasets import imagenet_r, imagenet_s, office_home, published_files
from finecal.datasets._imagenet import read_imagenet_lists
from finecal.datasets._lists import name_classes_by_folder, read_list
from finecal.datasets._official import read_class_order
from finecal.download.spec import Download
from finecal.errors import UserError
from finecal.models.imagenet_classes import class_names, numbers_by_folder, numbers_of
from finecal.plan.network import list_downloads
from finecal.plan.plan import Plan

SHARED = Path(__file__).parents[4] / "shared" / "official"
published = pytest.mark.skipif(not SHARED.is_dir(), reason="the published files are not beside this checkout")

# The structure of the published file, with other numbers.
SOURCE = """
import torch

raise SystemExit("this file must never be run")

# Class order
OFFICEHOME_SOURCE_AR_CLASSES = torch.tensor(
    [2, 0, 3,
     1])
OFFICEHOME_SOURCE_RW_CLASSES = torch.LongTensor((3, 1, 2, 0))
PLAIN: list = [1, 0]
OFFICEHOME_N_CLASSES = 4
TWICE = torch.tensor([1, 1])
COMPUTED = torch.tensor(list(range(4)))
NEGATIVE = [0, -1]
TRUE = [True, False]


def GET_HARDCODED_CLASSES(dataset):
    OFFICEHOME_SOURCE_AR_CLASSES = [0]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "HT_HARDCODED.py").write_text(SOURCE)
    return tmp_path


def test_orders_are_read_and_nothing_is_run(folder: Path) -> None:
    assert read_class_order(folder, "OFFICEHOME_SOURCE_AR_CLASSES") == (2, 0, 3, 1)
    assert read_class_order(folder, "OFFICEHOME_SOURCE_RW_CLASSES") == (3, 1, 2, 0)
    assert read_class_order(folder, "PLAIN") == (1, 0)


@pytest.mark.parametrize("name", ["TWICE", "COMPUTED", "NEGATIVE", "TRUE", "OFFICEHOME_N_CLASSES"])
def test_what_is_no_order_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"{name} is not a list of different class numbers"):
        read_class_order(folder, name)


def test_a_missing_order_names_the_closest(folder: Path) -> None:
    with pytest.raises(UserError, match=r"unknown class order .*closest first: OFFICEHOME_SOURCE_AR_CLASSES"):
        read_class_order(folder, "OFFICEHOME_SOURCE_AR")


@pytest.mark.parametrize("content", ["a = (", "a = 1\0"])
def test_what_is_no_python_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "HT_HARDCODED.py").write_text(content)
    with pytest.raises(UserError, match="not readable as Python"):
        read_class_order(tmp_path, "a")


def test_s_are_the_first_of_the_order(folder: Path) -> None:
    data_set, split = DataSet("office_home", {}), OfficialSplit(kind="official", source="Ar", count=2)
    assert official_classes(data_set, split, folder, 4) == [0, 2]
    with pytest.raises(UserError, match="S would be 30 of 4 classes"):  # the published number
        official_classes(data_set, OfficialSplit(kind="official", source="Ar"), folder, 4)
    with pytest.raises(UserError, match="the order has class 3, the data set has 3 classes"):
        official_classes(data_set, split, folder, 3)


# ------------------------------------------------------------------ studies


def study(tmp_path: Path, splits: dict[str, Any], **more: Any) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"extends": "office_home", "splits": splits, **more}))
    return path


def error(tmp_path: Path, splits: dict[str, Any], **more: Any) -> str:
    with pytest.raises(UserError) as caught:
        Plan([str(study(tmp_path, splits, **more))])
    return str(caught.value)


def test_each_task_gets_the_split_of_its_source() -> None:
    runs = {(run.task, run.split) for run in Plan(["office_home"]).runs}
    assert runs == {
        *((f"Ar-{target}", "official_Ar") for target in ("Cl", "Pr", "Rw")),
        *((f"Rw-{target}", "official_Rw") for target in ("Ar", "Cl", "Pr")),
    }
    of_all = {run.task for run in Plan(["office_home"]).trainings if run.split == "all"}
    assert len(of_all) == 6


def test_a_source_must_be_given_where_there_are_several(tmp_path: Path) -> None:
    text = error(tmp_path, {"o": {"kind": "official"}})
    assert "splits.o.source: this key is missing. The study has Ar, Rw." in text


def test_a_source_that_no_task_has_is_named(tmp_path: Path) -> None:
    text = error(tmp_path, {"o": {"kind": "official", "source": "Pr"}})
    assert "splits.o: unknown source 'Pr'. Known, closest first: Ar, Rw." in text


def test_a_task_without_an_official_split_is_named(tmp_path: Path) -> None:
    text = error(tmp_path, {"o": {"kind": "official"}}, tasks={"office_home": ["Pr-Ar"]})
    assert "the task 'Pr-Ar' of 'office_home' has no official split. Those that have one: Ar-Cl" in text


def test_what_is_fetched_is_what_the_tasks_need(tmp_path: Path) -> None:
    path = study(tmp_path, {"o": {"kind": "official"}}, tasks={"office_home": ["Ar-Cl"]})
    names = {str(file) for file in list_downloads(Plan([str(path)]))}
    assert names == {
        f"resources/office_home/{name}"
        for name in (
            "Art.tgz", "Art_training.txt", "Art_testing.txt",
            "Clipart.tgz", "Clipart_training.txt", "Clipart_testing.txt", "HT_HARDCODED.py",
        )
    }  # fmt: skip


@pytest.mark.parametrize("name", ["office_home", "imagenet_r", "imagenet_s"])
def test_official_tasks_are_tasks_and_have_a_licence(name: str) -> None:
    data_set = DataSet(name, {})
    assert data_set.official_tasks()
    assert all(set(task.split("-")) <= set(data_set.domains()) for task in data_set.official_tasks())
    assert data_set.module.LICENCE
    assert data_set.module.CITATION


def test_the_papers_studies_fit_together() -> None:
    """No name in them means two things, and together they vary all that figures compare."""
    plan = Plan([PAPER])
    assert plan.names == SELECTIONS[PAPER]
    assert {"class_size", "training", "head", "recipe", "backbone", "toy"} <= plan.axes()


# ------------------------------------------------------------------ the published files


REPOSITORY, COMMIT = "OSU-MLB/Fine-Tuning-Is-Fine-If-Calibrated", "2bc54b1edc2796f83d50bf049ddf102484051a51"


def files_of_the_repository() -> dict[str, Download]:
    """Path in the repository → the row of downloads.csv."""
    start = f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}/"
    rows = [row.download for row in published_files() if row.version == f"commit {COMMIT[:7]} of the published code"]
    return {row.urls[0].removeprefix(start): row for row in rows}


def test_every_file_comes_from_one_commit_with_its_hash() -> None:
    for path, download in files_of_the_repository().items():
        assert download.name == path.rpartition("/")[2]
        assert download.urls[1] == f"https://cdn.jsdelivr.net/gh/{REPOSITORY}@{COMMIT}/{path}"
        assert download.bytes
        assert download.sha256


@published
def test_sizes_and_hashes_are_the_published_ones() -> None:
    with (SHARED / "files.csv").open() as file:
        rows = {row["path"]: (int(row["bytes"]), row["sha256"]) for row in csv.DictReader(file)}
    assert rows == {path: (one.bytes, one.sha256) for path, one in files_of_the_repository().items()}
    for path, (size, sha256) in rows.items():
        copy = SHARED / path.removeprefix("asset/").replace("image_list/", "")
        if copy.suffix == ".txt":
            content = copy.read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (size, sha256)


@published
@pytest.mark.parametrize(
    ("module", "source", "of", "size"),
    [
        (office_home, "Ar", ("office_home", "source Ar"), 30),
        (office_home, "Rw", ("office_home", "source Rw"), 30),
        (imagenet_r, "imagenet", ("imagenet", "target R"), 100),
        (imagenet_s, "imagenet", ("imagenet", "target S"), 500),
    ],
)
def test_the_classes_of_s_are_the_published_ones(
    module: Any, source: str, of: tuple[str, str], size: int, tmp_path: Path
) -> None:
    """The published file itself is not there: one of the same structure with the published numbers."""
    with (SHARED / "class_order.csv").open() as file:
        orders: dict[tuple[str, str], list[int]] = {}
        for row in csv.DictReader(file):
            orders.setdefault((row["dataset"], row["order_of"]), []).append(int(row["class"]))
    names = {
        ("office_home", "source Ar"): "OFFICEHOME_SOURCE_AR_CLASSES",
        ("office_home", "source Rw"): "OFFICEHOME_SOURCE_RW_CLASSES",
        ("imagenet", "target R"): "IMAGENET_TARGET_R_CLASSES",
        ("imagenet", "target S"): "IMAGENET_TARGET_S_CLASSES",
    }
    lines = [f"{names[key]} = torch.tensor({order})" for key, order in orders.items()]
    (tmp_path / "HT_HARDCODED.py").write_text("\n".join(["import torch", *lines]))
    name = module.__name__.rpartition(".")[2]
    total = 65 if name == "office_home" else 1000
    split = OfficialSplit(kind="official", source=source)
    assert official_classes(DataSet(name, {}), split, tmp_path, total) == sorted(orders[of][:size])


@published
@pytest.mark.parametrize("domain", ["Art", "Clipart", "Product", "Real_World"])
def test_office_homes_lists_have_65_classes_with_the_same_names(domain: str) -> None:
    lists = [read_list(SHARED / "OfficeHome" / f"{domain}_{part}.txt") for part in ("training", "testing")]
    names = name_classes_by_folder(entry for one in lists for entry in one)
    assert len(names) == 65
    assert names[:3] == ("Drill", "Exit_Sign", "Bottle")
    assert not {name for name, _ in lists[0]} & {name for name, _ in lists[1]}


@published
@pytest.mark.parametrize(("letter", "total", "counts"), [("R", 200, (24_076, 5_924)), ("S", 1000, (40_889, 10_000))])
def test_imagenets_lists_number_the_classes_as_timm_does(letter: str, total: int, counts: tuple[int, int]) -> None:
    numbers = numbers_by_folder()
    found: Counter[int] = Counter()
    for part, count in zip(("training", "testing"), counts, strict=True):
        entries = read_list(SHARED / "ImageNet" / f"{letter}_{part}.txt")
        assert len(entries) == count
        assert all(numbers[name.split("/")[1]] == label for name, label in entries)
        found.update(label for _, label in entries)
    assert len(found) == total


def test_the_present_classes_are_numbered_anew(tmp_path: Path) -> None:
    folders = {number: folder for folder, number in numbers_by_folder().items()}
    for part, image in (("training", 1), ("testing", 2)):
        lines = [f"imagenet-r/{folders[number]}/{image}.jpg {number}" for number in (883, 9)]
        (tmp_path / f"R_{part}.txt").write_text("\n".join(lines))
    lists = (tmp_path / "R_training.txt", tmp_path / "R_testing.txt", tmp_path)
    few = read_imagenet_lists(*lists, inside=("imagenet-r", "r"), size=8, fit="crop", all_classes=False)
    assert few.classes == ("ostrich", "vase")
    assert few.labels.tolist() == [1, 0, 1, 0]
    assert few.test.tolist() == [False, False, True, True]
    assert few.complete
    assert few.files[0] == tmp_path / "r" / "n04522168" / "1.jpg"
    whole = read_imagenet_lists(*lists, inside=("imagenet-r", "r"), size=8, fit="crop")
    assert whole.labels.tolist() == [883, 9, 883, 9]
    assert len(whole.classes) == 1000
    assert not whole.complete
    (tmp_path / "R_testing.txt").write_text(f"imagenet-r/{folders[9]}/1.jpg 10")
    with pytest.raises(UserError, match="is of class 10 there, ImageNet says 9"):
        read_imagenet_lists(*lists, inside=("imagenet-r", "r"), size=8, fit="crop")


def test_the_published_order_of_the_present_classes(tmp_path: Path) -> None:
    (tmp_path / "HT_HARDCODED.py").write_text("IMAGENET_TARGET_R_CLASSES = [883, 341, 9, 245]")
    split = OfficialSplit(kind="official", source="imagenet", count=2)
    present = DataSet("imagenet_r", {"classes": "present"})
    assert official_classes(present, split, tmp_path, 4) == [2, 3]  # of 9, 245, 341, 883
    assert official_classes(DataSet("imagenet_r", {}), split, tmp_path, 1000) == [341, 883]


def test_rows_of_a_head_are_found_by_name() -> None:
    assert numbers_of(["vase", "ostrich", "n01443537"]) == {"vase": 883, "ostrich": 9, "n01443537": 1}
    assert numbers_of(["vase", "Drill"]) == {"vase": 883}


def test_imagenets_classes_have_different_names() -> None:
    names = class_names()
    assert len(set(names)) == 1000
    assert names[134] == "crane (n02012849)"
    assert names[883] == "vase"
