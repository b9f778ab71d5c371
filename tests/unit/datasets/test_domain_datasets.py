"""DomainNet, PACS, iWildCam and corrupted CIFAR in miniature: files, labels, divisions, and strange layouts."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import miniatures
import numpy as np
import pandas as pd
import pytest
from miniatures import as_files, tar, zipped
from pydantic import ValidationError

from finecal.data.decoding import decode
from finecal.data.packed import check_samples
from finecal.datasets import cifar_c, domainnet, iwildcam, pacs
from finecal.datasets._corruptions import CORRUPTIONS, STRENGTHS, corrupt
from finecal.datasets._iwildcam import draw_test_sequences
from finecal.datasets._lists import name_classes_by_folder, read_list, redraw_incomplete_classes
from finecal.errors import UserError

# Lists


@pytest.mark.parametrize("line", ["a.jpg", "../a.jpg 1", "/a.jpg 1", "a.jpg x", "a.jpg -1", " 3"])
def test_a_line_that_is_no_sample_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.txt").write_text(f"x/a.jpg 0\n\n{line}\n")
    with pytest.raises(UserError, match=r"list\.txt:3"):
        read_list(tmp_path / "list.txt")


def test_names_may_have_spaces_and_lists_may_not_be_empty(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("Real World/alarm clock/1.jpg 12\n")
    assert read_list(tmp_path / "list.txt") == [("Real World/alarm clock/1.jpg", 12)]
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(UserError, match="empty"):
        read_list(tmp_path / "list.txt")


@pytest.mark.parametrize(
    "entries", [[("a/x/1", 0), ("a/y/1", 0)], [("a/x/1", 0), ("b/x/1", 1)], [("a/x/1", 0), ("a/y/1", 2)]]
)
def test_classes_and_folders_must_agree(entries: list[tuple[str, int]]) -> None:
    with pytest.raises(UserError):
        name_classes_by_folder(entries)


def test_only_classes_without_samples_on_one_side_are_divided_anew(capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 3])
    test = np.array([1, 0, 0, 1, 1, 1, 1, 0, 0, 0], dtype=bool)
    again = redraw_incomplete_classes(labels, test, ("a", "b", "c", "d"), 0.25, np.random.default_rng(0))
    assert again[:3].tolist() == [True, False, False]
    assert [again[labels == label].sum() for label in range(4)] == [1, 1, 1, 0]
    assert capsys.readouterr().out.splitlines() == [
        "b: no training sample in the lists, 4 other samples divided anew",
        "c: no test sample in the lists, 2 other samples divided anew",
    ]


# DomainNet


def test_domainnet_has_the_listed_files(tmp_path: Path) -> None:
    files = as_files(tmp_path, miniatures.domainnet("sketch"))
    found = domainnet.prepare("sketch", domainnet.Options(size=16), files)
    assert found.classes == ("aircraft_carrier", "bee", "t-shirt", "zebra")
    assert np.bincount(found.labels[found.test]).tolist() == [4, 4, 4, 4]
    assert found.names[0] == "sketch/aircraft_carrier/sketch_000_000000.jpg"
    assert all(file.parent.name == found.classes[label] for file, label in zip(found.files, found.labels, strict=True))
    assert decode(found.files[-1], 16).shape == (16, 16, 3)


def test_domainnet_divides_anew_what_the_lists_of_paintings_leave_out(tmp_path: Path) -> None:
    found = domainnet.prepare("painting", domainnet.Options(), as_files(tmp_path, miniatures.domainnet("painting")))
    check_samples(found, "painting")
    assert np.bincount(found.labels[found.test]).tolist() == [2, 2, 4, 4]  # 0.3 of 8 samples


def test_domainnet_fetches_what_a_domain_needs() -> None:
    options = domainnet.Options()
    named = {domain: [d.name for d in domainnet.downloads(domain, options)] for domain in domainnet.domains(options)}
    assert named["real"] == ["real.zip", "real_train.txt", "real_test.txt"]
    assert len({name for names in named.values() for name in names}) == 18
    assert domainnet.domains(domainnet.Options(domains=("real", "sketch"))) == ("real", "sketch")


@pytest.mark.parametrize("given", [["real"], ["real", "real"], ["real", "photo"]])
def test_domainnet_has_six_domains(given: list[str]) -> None:
    with pytest.raises(ValidationError):
        domainnet.Options.model_validate({"domains": given})


# PACS


@pytest.mark.parametrize("top", ["kfold", "PACS/kfold"])
def test_pacs_is_found_in_its_folder(tmp_path: Path, top: str) -> None:
    files = as_files(tmp_path, miniatures.pacs(per_class=5, top=top))
    found = pacs.prepare("sketch", pacs.Options(test_fraction=0.4), files)
    assert found.classes == pacs.CLASSES
    assert np.bincount(found.labels).tolist() == [5] * 7
    assert np.bincount(found.labels[found.test]).tolist() == [2] * 7
    assert {file.parent.parent.name for file in found.files} == {"sketch"}
    assert decode(found.files[0], 16).shape == (16, 16, 3)


def test_pacs_without_a_domain_says_so(tmp_path: Path) -> None:
    files = as_files(tmp_path, {"PACS.zip": zipped({"kfold/photo/dog/1.jpg": b"x"})})
    with pytest.raises(UserError, match="cartoon/dog"):
        pacs.prepare("cartoon", pacs.Options(), files)


def test_pacs_has_to_be_fetched_by_hand() -> None:
    (download,) = pacs.downloads("photo", pacs.Options())
    assert download.urls == ()
    assert "drive.google.com" in download.by_hand
    assert "PACS.zip" in download.by_hand


# iWildCam


def options(**given: object) -> iwildcam.Options:
    return iwildcam.Options.model_validate({"min_per_class": 4, "size": 16, **given})


@pytest.fixture(scope="module")
def camera_traps() -> dict[str, bytes]:
    return miniatures.iwildcam()


def test_iwildcam_has_the_species_with_enough_samples(tmp_path: Path, camera_traps: dict[str, bytes]) -> None:
    files = as_files(tmp_path, camera_traps)
    found = iwildcam.prepare("train_locations", options(), files)
    assert found.classes == (
        "lynx",
        "meleagris",
        "puma",
        "tapir",
    )  # zorro has one sequence in each split, empty is no species
    check_samples(found, "iwildcam")
    assert np.bincount(found.labels[found.test]).tolist() == [16] * 4  # id_test: 8 sequences of 2
    assert np.bincount(found.labels[~found.test]).tolist() == [16] * 4
    assert decode(found.files[0], 16).shape == (16, 16, 3)


@pytest.mark.parametrize("target", ["test_locations", "val_locations"])
def test_a_sequence_is_on_one_side(tmp_path: Path, camera_traps: dict[str, bytes], target: str) -> None:
    found = iwildcam.prepare(target, options(target=target, test_fraction=0.25), as_files(tmp_path, camera_traps))
    sequence = np.array([Path(name).name[:4] for name in found.names])
    sides = pd.DataFrame({"sequence": sequence, "test": found.test}).groupby("sequence")["test"].nunique()
    assert set(sides) == {1}
    assert np.bincount(found.labels[found.test]).tolist() == [4] * 4  # 2 of 8 sequences, 2 pictures each


def test_iwildcam_can_have_empty_pictures_and_leave_samples_out(tmp_path: Path, camera_traps: dict[str, bytes]) -> None:
    given = options(empty=True, max_per_class=5)
    found = iwildcam.prepare("test_locations", given, as_files(tmp_path, camera_traps))
    assert found.classes == ("empty", "lynx", "meleagris", "puma", "tapir")
    assert np.bincount(found.labels[found.test]).tolist() == [5] * 5
    assert np.bincount(found.labels[~found.test]).tolist() == [5] * 5


def test_both_domains_have_the_same_classes(tmp_path: Path, camera_traps: dict[str, bytes]) -> None:
    for domain in iwildcam.domains(options()):
        found = iwildcam.prepare(domain, options(), as_files(tmp_path / domain, camera_traps))
        assert found.classes == ("lynx", "meleagris", "puma", "tapir")


def test_too_few_species_are_an_error(tmp_path: Path, camera_traps: dict[str, bytes]) -> None:
    with pytest.raises(UserError, match="0 classes with 100 samples each"):
        iwildcam.prepare("train_locations", options(min_per_class=100), as_files(tmp_path, camera_traps))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"metadata.csv": b"split,filename,y\n"}, "sequence_remapped"),
        ({"categories.csv": b"y,name\n0,empty\n"}, "metadata.csv"),
    ],
)
def test_tables_that_lack_something_are_named(tmp_path: Path, tables: dict[str, bytes], message: str) -> None:
    files = as_files(tmp_path, {"iwildcam_v2.0.tar.gz": tar(tables)})
    with pytest.raises(UserError, match=message):
        iwildcam.prepare("train_locations", options(), files)


def test_sequences_are_drawn_for_each_species() -> None:
    """A sequence with two species belongs to the rarer one; one that is alone stays for training."""
    table = pd.DataFrame(
        {"y": [0] * 8 + [1, 1, 1, 0, 2], "sequence_remapped": [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 10, 11]}
    )
    for seed in range(20):
        drawn = draw_test_sequences(table, 0.5, np.random.default_rng(seed))
        assert len(drawn & set(range(1, 9))) == 4
        assert len(drawn & {9, 10}) == 1
        assert 11 not in drawn


# CIFAR


@pytest.mark.parametrize("classes", [10, 100])
def test_cifar_clean_and_corrupted(tmp_path: Path, classes: int) -> None:
    contents = miniatures.cifar(classes, per_class=6)
    given = cifar_c.Options(classes=classes, severity=4)  # type: ignore[arg-type]
    clean, noisy, mixed = (
        cifar_c.prepare(domain, given, as_files(tmp_path / domain, contents))
        for domain in ("clean", "gaussian_noise", "mixed")
    )
    parts = 5 if classes == 10 else 1
    assert clean.pixels.shape == (24 * parts + 24, 32, 32, 3)
    assert clean.test.sum() == 24
    number = 101 if classes == 10 else 1  # the first batch of CIFAR-10 has the miniature's pictures from 100 on
    np.testing.assert_array_equal(clean.pixels[5], miniatures.pixels(1, number, side=32))
    np.testing.assert_array_equal(clean.pixels[clean.test][6], miniatures.pixels(2, 1001, side=32))
    assert clean.labels[clean.test].tolist() == [0, 1, 2, 3] * 6
    assert clean.classes == ("apple", "aquarium_fish", "baby", "bear")
    for other in (noisy, mixed):
        np.testing.assert_array_equal(other.labels, clean.labels)
        np.testing.assert_array_equal(other.test, clean.test)
    np.testing.assert_array_equal(noisy.pixels, corrupt(clean.pixels, "gaussian_noise", 4, 0))


def test_every_corruption_is_a_domain() -> None:
    assert cifar_c.domains(cifar_c.Options()) == ("clean", *CORRUPTIONS, "mixed")
    assert set(STRENGTHS) == set(CORRUPTIONS) == set(cifar_c.CORRUPTIONS)


# Estimates


@pytest.mark.parametrize(
    ("module", "domain", "given", "expected"),
    [
        (cifar_c, "jpeg", {"classes": 100}, (50_000, 10_000, 100)),
        (pacs, "photo", {"test_fraction": 0.1}, (1_503, 167, 7)),
        (domainnet, "real", {}, (120_906, 52_041, 345)),
        (iwildcam, "train_locations", {}, (129_809, 8_154, 182)),
        (iwildcam, "train_locations", {"max_per_class": 100}, (18_200, 8_154, 182)),
        (iwildcam, "test_locations", {"test_fraction": 0.5}, (21_395, 21_396, 182)),
    ],
)
def test_how_many_samples_there_are(
    module: ModuleType, domain: str, given: dict[str, object], expected: tuple[int]
) -> None:
    assert module.sizes(domain, module.Options.model_validate(given)) == expected
