"""The digits data set, and images packed into one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits

from finecal.data.packed import PackedImages, read_format, read_images, write_images
from finecal.datasets import digits
from finecal.errors import UserError
from finecal.io.parquet import read_table, write_table
from finecal.plan.plan import Plan
from finecal.stages.prepare import prepare

FEW = digits.Options(per_class=20)


@pytest.fixture(params=["printed", "handwritten"])
def domain(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ------------------------------------------------------------------ the digits


def test_both_domains_have_the_same_form(domain: str) -> None:
    images = digits.prepare(domain, FEW)
    assert images.pixels.shape == (len(images), 8, 8, 1)
    assert images.pixels.dtype == np.uint8
    assert images.labels.dtype == np.int32
    assert images.classes == tuple("0123456789")
    assert (images.pixels.min(), images.pixels.max()) == (0, 255)
    for subset in (images.test, ~images.test):
        assert set(images.labels[subset]) == set(range(10))
    counts = np.bincount(images.labels)
    held_out = np.bincount(images.labels[images.test])
    assert held_out.tolist() == [round(0.3 * n) for n in counts]


def test_the_same_options_give_the_same_images(domain: str) -> None:
    one, two = digits.prepare(domain, FEW), digits.prepare(domain, FEW)
    assert np.array_equal(one.pixels, two.pixels)
    assert np.array_equal(one.test, two.test)
    other = digits.prepare(domain, FEW.model_copy(update={"seed": 1}))
    assert not np.array_equal(one.test, other.test)
    assert np.array_equal(one.pixels, other.pixels) == (domain == "handwritten")


def test_handwritten_digits_are_those_of_scikit_learn() -> None:
    published = load_digits()
    images = digits.prepare("handwritten", digits.Options())
    assert np.array_equal(images.labels, published.target)
    assert np.array_equal(images.pixels[..., 0], np.round(published.images * 255 / 16))


def test_printed_digits_are_counts_of_ink_too() -> None:
    """Both domains have the 17 grey values of 0 to 16 bits: the step between them is one of shape only."""
    images = digits.prepare("printed", FEW)
    assert len(images) == 200
    assert set(np.unique(images.pixels)) <= {round(k * 255 / 16) for k in range(17)}
    assert images.pixels.any(axis=2).any(axis=1).all()  # the ink of none is lost
    ink = images.pixels.mean(axis=(1, 2, 3))
    assert ink.min() > 20
    assert len(np.unique(images.pixels.reshape(200, -1), axis=0)) > 190  # the fonts and the distortions vary


def test_options_change_the_rendering() -> None:
    still = digits.Options(per_class=2, rotation=0, shear=0, blur=0)
    assert not np.array_equal(digits.prepare("printed", still).pixels, digits.prepare("printed", FEW).pixels[:20])


def test_a_domain_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        prepare(Plan(["digits"]), "digits", "painted")
    assert str(caught.value) == (
        "the data set 'digits': unknown domain 'painted'. Known, closest first: printed, handwritten."
    )
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ packed images


def packed() -> PackedImages:
    random = np.random.default_rng(0)
    return PackedImages(
        pixels=random.integers(0, 256, (8, 4, 5, 3), dtype=np.uint8),
        labels=np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32),
        test=np.tile([True, False], 4),
        classes=("cat", "dog"),
    )


def test_images_are_read_as_they_were_written(tmp_path: Path) -> None:
    images = packed()
    path = tmp_path / "images.parquet"
    write_images(path, images, columns={"dataset": "pets"}, provenance={})
    found = read_images(path)
    for name in ("pixels", "labels", "test"):
        assert np.array_equal(getattr(found, name), getattr(images, name))
        assert getattr(found, name).dtype == getattr(images, name).dtype
    assert found.classes == images.classes
    assert read_format(path) == {"shape": [4, 5, 3], "classes": ["cat", "dog"], "complete": True}
    table = read_table(path)
    assert table.column_names == ["dataset", "sample", "class", "subset", "pixels"]
    assert table["sample"].to_pylist() == list(range(8))


def with_label(label: int) -> PackedImages:
    labels = packed().labels.copy()
    labels[5] = label
    return replace(packed(), labels=labels)


FAULTS: dict[str, tuple[Callable[[], PackedImages], str]] = {
    "label too large": (lambda: with_label(2), "sample 5 has the label 2. Labels are 0 to 1."),
    "label negative": (lambda: with_label(-1), "sample 5 has the label -1. Labels are 0 to 1."),
    "a name twice": (
        lambda: replace(packed(), classes=("cat", "cat")),
        "two classes are called 'cat'. Classes are matched by name.",
    ),
    "no test sample": (
        lambda: replace(packed(), test=np.array([True] + [False] * 7)),
        "class 'dog' has no test sample. Every class needs at least one.",
    ),
    "no training sample": (
        lambda: replace(packed(), test=np.array([True] * 4 + [False] * 4)),
        "class 'cat' has no training sample. Every class needs at least one.",
    ),
    "no sample": (
        lambda: replace(packed(), classes=("cat", "dog", "eel")),
        "class 'eel' has no training sample. Every class needs at least one.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_images_that_cannot_be_used_are_not_written(tmp_path: Path, fault: str) -> None:
    make, message = FAULTS[fault]
    path = tmp_path / "images.parquet"
    with pytest.raises(UserError) as caught:
        write_images(path, make(), columns={}, provenance={})
    assert str(caught.value) == f"{path}: {message}"
    assert not path.exists()


def test_images_are_checked_when_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    write_images(path, packed(), columns={}, provenance={})
    table = read_table(path)
    spoilt = table.set_column(
        table.column_names.index("class"), "class", pa.array([0, 0, 0, 9, 1, 1, 1, 1], pa.int32())
    )
    write_table(path, spoilt, provenance={})
    with pytest.raises(UserError) as caught:
        read_images(path)
    assert str(caught.value) == f"{path}: sample 3 has the label 9. Labels are 0 to 1."


def test_another_table_holds_no_images(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    write_table(path, pa.table({"a": [1]}), provenance={})
    with pytest.raises(UserError) as caught:
        read_format(path)
    assert str(caught.value) == f"{path}: this Parquet file has no packed images."
    with pytest.raises(UserError) as caught:
        read_images(path)
    assert str(caught.value) == f"{path}: the column 'sample' is missing. It has a."
