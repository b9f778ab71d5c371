"""VTAB's tasks in miniature: every layout is read, with its classes, its division and the part that trains a head."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
from miniatures import VTAB, as_files, tar, zipped
from pydantic import ValidationError

from finecal.data.decoding import decode
from finecal.data.image_files import ImageFiles
from finecal.data.packed import PackedImages, check_samples
from finecal.datasets import find_downloads, vtab
from finecal.datasets._vtab import TASKS
from finecal.datasets._vtab_read import READ
from finecal.errors import UserError

# Task → names of classes, training and test samples in all; None where they are drawn.
EXPECTED = {
    "caltech101": (["faces", "faces easy", "ceiling fan", "yin yang"], None),
    "cifar100": (["apple", "aquarium fish", "baby", "bear"], (48, 48)),
    "dtd": (["banded", "polka-dotted", "woven"], (18, 9)),
    "eurosat": (["annual crop", "forest", "sea lake"], None),
    "flowers102": (102, (204, 204)),
    "food101": (["apple pie", "waffles"], (8, 8)),
    "gtsrb": (43, (129, 86)),
    "pets": (["abyssinian", "american bulldog", "persian"], (12, 12)),
    "resisc45": (["airplane", "baseball diamond", "sea ice"], (12, 6)),
    "sun397": (["abbey", "apartment building outdoor", "zen garden"], None),
    "svhn": (list("0123456789"), (120, 120)),
}
TOTAL = {"caltech101": 32, "eurosat": 24, "sun397": 18}


def prepared(folder: Path, task: str, domain: str, **options: object) -> PackedImages | ImageFiles:
    read = vtab.Options.model_validate({"task": task, "size": 24, **options})
    return vtab.prepare(domain, read, as_files(folder / domain, VTAB[task]()))


def test_every_task_has_all_that_it_needs() -> None:
    tasks = vtab.Options.model_fields["task"].annotation.__args__  # type: ignore[union-attr]
    assert set(tasks) == set(TASKS) == set(READ) == set(VTAB) == set(EXPECTED)


@pytest.mark.parametrize("task", EXPECTED)
def test_a_task_is_read(tmp_path: Path, task: str) -> None:
    names, sizes = EXPECTED[task]
    few, images = (prepared(tmp_path, task, domain, source_per_class=2) for domain in ("few", "images"))
    for found in (few, images):
        assert list(found.classes) == names if isinstance(names, list) else len(found.classes) == names
        assert len(set(found.classes)) == len(found.classes)
        check_samples(found, task)
    classes = len(few.classes)
    per_class = np.bincount(few.labels[~few.test], minlength=classes)
    assert set(per_class) <= {1, 2}
    training, test = int(sum(~few.test) + sum(~images.test)), int(sum(images.test))
    assert (training, test) == sizes if sizes else training + test == TOTAL[task]
    assert test == sum(few.test)
    if isinstance(images, ImageFiles):
        assert isinstance(few, ImageFiles)
        trained = {name for name, test in zip(few.names, few.test, strict=True) if not test}
        assert not trained & set(images.names)
        assert decode(images.files[-1], 24).shape == (24, 24, 3)


@pytest.mark.parametrize("task", EXPECTED)
def test_pictures_have_the_labels_of_their_colours(tmp_path: Path, task: str) -> None:
    """In the miniatures a class is a colour: that of a sample's picture is nearest to the mean of its own class."""
    images = prepared(tmp_path, task, "images")
    if isinstance(images, ImageFiles):
        colours = np.array([decode(file, 24).mean(axis=(0, 1)) for file in images.files])
    else:
        colours = images.pixels.mean(axis=(1, 2))
    means = np.array([colours[(images.labels == c) & ~images.test].mean(axis=0) for c in range(len(images.classes))])
    nearest = np.linalg.norm(colours[:, None] - means, axis=2).argmin(axis=1)
    assert np.mean(nearest == images.labels) > (0.9 if len(means) < 40 else 0.5)


def test_a_division_is_drawn_where_there_is_no_official_one(tmp_path: Path) -> None:
    one, same, other = (
        prepared(tmp_path / str(i), "eurosat", "images", test_fraction=0.25, seed=seed)
        for i, seed in enumerate((0, 0, 1))
    )
    assert isinstance(one, ImageFiles)
    assert isinstance(same, ImageFiles)
    assert isinstance(other, ImageFiles)
    tests = [{f.name for f, t in zip(x.files, x.test, strict=True) if t} for x in (one, same, other)]
    assert tests[0] == tests[1] != tests[2]
    assert np.bincount(one.labels[one.test]).tolist() == [2, 2, 2]  # a quarter of 8


def test_few_leaves_half_of_the_training_samples(tmp_path: Path) -> None:
    few = prepared(tmp_path, "pets", "few", source_per_class=100)
    images = prepared(tmp_path, "pets", "images", source_per_class=100)
    assert np.bincount(few.labels[~few.test]).tolist() == [2, 2, 2]
    assert np.bincount(images.labels[~images.test]).tolist() == [2, 2, 2]


def test_without_few_all_training_samples_are_in_images(tmp_path: Path) -> None:
    options = vtab.Options(task="pets", source_per_class=0)
    assert "few" not in vtab.domains(options)
    images = prepared(tmp_path, "pets", "images", source_per_class=0)
    assert np.bincount(images.labels[~images.test]).tolist() == [4, 4, 4]


def test_the_web_has_no_images_and_needs_no_files() -> None:
    options = vtab.Options(task="dtd")
    assert vtab.domains(options)[0] == "images"  # its file names the classes
    assert vtab.without_images(options) == ("web",)
    assert vtab.downloads("web", options) == ()
    files = find_downloads("vtab", "dtd-r1.0.1.tar.gz")
    assert vtab.downloads("few", options) == vtab.downloads("images", options) == files


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValidationError, match="caltech101"):
        vtab.Options.model_validate({"task": "caltech"})


@pytest.mark.parametrize(
    ("task", "changed", "message"),
    [
        ("caltech101", {"caltech-101.zip": {"caltech-101/Annotations.tar": b"x"}}, "101_ObjectCategories.tar.gz"),
        ("resisc45", {"resisc45-test.txt": b"airplane_999.jpg\n"}, "airplane_"),
        ("cifar100", {"cifar-100-binary.tar.gz": {"cifar-100-binary/train.bin": b"12345"}}, "5 bytes"),
        ("cifar100", {"cifar-100-binary.tar.gz": {"cifar-100-binary/readme.txt": b"12345"}}, "train.bin"),
    ],
)
def test_a_strange_layout_is_named(tmp_path: Path, task: str, changed: dict[str, object], message: str) -> None:
    files = VTAB[task]()
    for name, content in changed.items():
        packed = zipped if name.endswith("zip") else tar
        files[name] = packed(content) if isinstance(content, dict) else content  # type: ignore[assignment]
    with pytest.raises(UserError) as error:
        READ[task](as_files(tmp_path, files))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("module", "name", "task"),
    [
        ("caltech", "Caltech101", "caltech101"),
        ("dtd", "DTD", "dtd"),
        ("eurosat", "EuroSAT", "eurosat"),
        ("flowers102", "Flowers102", "flowers102"),
        ("food101", "Food101", "food101"),
        ("gtsrb", "GTSRB", "gtsrb"),
        ("oxford_iiit_pet", "OxfordIIITPet", "pets"),
        ("sun397", "SUN397", "sun397"),
        ("svhn", "SVHN", "svhn"),
    ],
)
def test_hashes_are_those_of_torchvision(module: str, name: str, task: str) -> None:
    source = inspect.getsource(getattr(importlib.import_module(f"torchvision.datasets.{module}"), name))
    for download in find_downloads("vtab", *TASKS[task].files):
        assert download.md5
        assert download.md5 in source
        assert download.urls[0].rpartition("/")[2] in source
