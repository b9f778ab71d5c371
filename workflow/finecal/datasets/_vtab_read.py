"""Read the files of VTAB's tasks in the layout of their publishers.

torchvision's classes read them, except where there is none (RESISC45), where it opens pickles (CIFAR-100) or gives no
list of files (Caltech101, GTSRB, pets). Their checks of hashes are skipped: the files were checked when they were
fetched.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.datasets._cifar import read_cifar
from finecal.datasets._vtab import TASKS
from finecal.download.archives import extract
from finecal.download.spec import Files
from finecal.errors import UserError


@dataclass(frozen=True)
class Found:
    """All samples of a task.

    Attributes
    ----------
    images
        N files, or (N, H, W, 3) uint8.
    labels
        (N,) class numbers.
    test
        (N,) bool; None if there is no official division.
    """

    images: Sequence[Path] | npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int_]
    test: npt.NDArray[np.bool_] | None
    classes: tuple[str, ...]


Pair = tuple[Path, int]


def to_words(name: str) -> str:
    """Convert the name of a folder to the name of a class in words.

    >>> to_words("AnnualCrop"), to_words("apartment_building/outdoor"), to_words("polka-dotted")
    ('annual crop', 'apartment building outdoor', 'polka-dotted')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_/]+", " ", name).lower().strip()


def _join_parts(training: Sequence[Pair], test: Sequence[Pair] | None, classes: Sequence[str]) -> Found:
    """Join training and test samples in this order; without an official division all are in `training`."""
    both = [*training, *(test or [])]
    return Found(
        images=[file for file, _ in both],
        labels=np.array([label for _, label in both], dtype=int),
        test=None if test is None else np.repeat([False, True], [len(training), len(test)]),
        classes=tuple(classes),
    )


def _list_pairs(dataset: Any) -> list[Pair]:
    """List file and label of each sample of a torchvision data set made with `loader=Path`, sorted by file name."""
    return sorted(dataset[i] for i in range(len(dataset)))


def _unpack(files: Files, name: str, folder: Path) -> None:
    """Unpack an archive into the folder where torchvision looks for it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    extract(files.path(name), folder)


def _list_folders(root: Path, *, without: Sequence[str] = ()) -> tuple[list[Pair], list[str]]:
    """List the images of each class with their labels, and the names of the folders, sorted."""
    names = sorted(path.name for path in root.glob("*/") if path.name not in without)
    pairs = [(file, label) for label, name in enumerate(names) for file in sorted((root / name).glob("*.jpg"))]
    if not pairs:
        raise UserError("the archive has no images where they should be", where=root.name)
    return pairs, names


def caltech101(files: Files) -> Found:
    """Read an archive in an archive: a folder for each class, and one of distractors, which are left out."""
    inner = "101_ObjectCategories.tar.gz"
    outer = files.extract("caltech-101.zip", only=lambda member: member.endswith(f"/{inner}"))
    found = next(outer.glob(f"**/{inner}"), None)
    if found is None:
        raise UserError(f"there is no {inner} in it", where="caltech-101.zip")
    extract(found, files.scratch / "caltech101")
    pairs, names = _list_folders(files.scratch / "caltech101" / "101_ObjectCategories", without=["BACKGROUND_Google"])
    return _join_parts(pairs, None, [to_words(name) for name in names])


def cifar100(files: Files) -> Found:
    """Read the binary version of CIFAR-100 with its official division."""
    images = read_cifar(100, files)
    return Found(images.pixels, images.labels, images.test, tuple(to_words(name) for name in images.classes))


def dtd(files: Files) -> Found:
    """Read the first of ten divisions; its training and validation samples are trained on."""
    from torchvision.datasets import DTD

    _unpack(files, "dtd-r1.0.1.tar.gz", files.scratch / "dtd")
    parts = {split: DTD(files.scratch, split=split, loader=Path) for split in ("train", "val", "test")}
    return _join_parts(
        _list_pairs(parts["train"]) + _list_pairs(parts["val"]), _list_pairs(parts["test"]), parts["test"].classes
    )


def eurosat(files: Files) -> Found:
    """Read all images; there is no official division."""
    from torchvision.datasets import EuroSAT

    _unpack(files, "EuroSAT.zip", files.scratch / "eurosat")
    dataset = EuroSAT(files.scratch, loader=Path)
    return _join_parts(_list_pairs(dataset), None, [to_words(name) for name in dataset.classes])


def flowers102(files: Files) -> Found:
    """Read all samples; those for training and for validation, ten of each class, are trained on."""
    from torchvision.datasets import Flowers102

    class Checked(Flowers102):  # type: ignore[misc]  # torchvision has no types
        def _check_integrity(self) -> bool:
            return True

    folder = files.scratch / "flowers-102"
    _unpack(files, "102flowers.tgz", folder)
    for name in ("imagelabels.mat", "setid.mat"):
        shutil.copyfile(files.path(name), folder / name)
    train, val, test = (
        _list_pairs(Checked(files.scratch, split=split, loader=Path)) for split in ("train", "val", "test")
    )
    # Whoever wrote torchvision's list was not sure of one name: 'pink-yellow dahlia?'.
    return _join_parts(train + val, test, [name.rstrip("?") for name in Flowers102.classes])


def food101(files: Files) -> Found:
    """Read all images with the official division."""
    from torchvision.datasets import Food101

    _unpack(files, "food-101.tar.gz", files.scratch / "unpacked")
    training, test = (Food101(files.scratch / "unpacked", split=split, loader=Path) for split in ("train", "test"))
    return _join_parts(_list_pairs(training), _list_pairs(test), [to_words(name) for name in training.classes])


def gtsrb(files: Files) -> Found:
    """Read a folder 00000, 00001, … for each class of the training samples, and a table of the test samples."""
    root = files.scratch / "gtsrb"
    for name in ("GTSRB-Training_fixed.zip", "GTSRB_Final_Test_Images.zip", "GTSRB_Final_Test_GT.zip"):
        extract(files.path(name), root / name)
    training = sorted((root / "GTSRB-Training_fixed.zip" / "GTSRB" / "Training").glob("*/*.ppm"))
    images = root / "GTSRB_Final_Test_Images.zip" / "GTSRB" / "Final_Test" / "Images"
    with (root / "GTSRB_Final_Test_GT.zip" / "GT-final_test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    test = [(images / row["Filename"], int(row["ClassId"])) for row in rows]
    classes = TASKS["gtsrb"].classes
    assert classes is not None
    return _join_parts([(file, int(file.parent.name)) for file in training], test, classes)


def pets(files: Files) -> Found:
    """Read the lists of `Breed_12 number …` in the annotations; the numbers begin at 1."""
    folder = files.extract("pets-images.tar.gz", only=lambda member: member.endswith((".jpg", "/")))
    lists = files.extract(
        "pets-annotations.tar.gz", only=lambda member: member.endswith(("/trainval.txt", "/test.txt"))
    )
    names: dict[int, str] = {}
    parts: list[list[Pair]] = []
    for name in ("trainval.txt", "test.txt"):
        lines = [line.split() for line in (lists / "annotations" / name).read_text("utf-8").splitlines() if line]
        parts.append([(folder / "images" / f"{image}.jpg", int(label) - 1) for image, label, *_ in lines])
        names |= {int(label) - 1: to_words(image.rpartition("_")[0]) for image, label, *_ in lines}
    return _join_parts(parts[0], parts[1], [names[label] for label in sorted(names)])


def resisc45(files: Files) -> Found:
    """Read a folder for each class and three lists of file names; validation samples are trained on."""
    pairs, names = _list_folders(files.extract("NWPU-RESISC45.zip") / "NWPU-RESISC45")
    listed = {
        name: part
        for part in ("train", "val", "test")
        for name in files.path(f"resisc45-{part}.txt").read_text().split()
    }
    strange = sorted({file.name for file, _ in pairs} ^ set(listed))
    if strange:
        raise UserError(f"{strange[0]} is not in both a list and the archive", where="resisc45")
    training = [(file, label) for file, label in pairs if listed[file.name] != "test"]
    test = [(file, label) for file, label in pairs if listed[file.name] == "test"]
    return _join_parts(training, test, [to_words(name) for name in names])


def sun397(files: Files) -> Found:
    """Read all images of the 397 classes. The ten official divisions are not used: they leave out most images."""
    from torchvision.datasets import SUN397

    _unpack(files, "SUN397.tar.gz", files.scratch / "unpacked")
    dataset = SUN397(files.scratch / "unpacked", loader=Path)
    return _join_parts(_list_pairs(dataset), None, [to_words(name) for name in dataset.classes])


def svhn(files: Files) -> Found:
    """Read the cropped digits with the official division, without the extra training samples."""
    from torchvision.datasets import SVHN

    class Checked(SVHN):  # type: ignore[misc]  # torchvision has no types
        def _check_integrity(self) -> bool:
            return True

    training, test = (Checked(files.folder, split=split) for split in ("train", "test"))
    pixels = np.concatenate([training.data, test.data]).transpose(0, 2, 3, 1)
    labels = np.concatenate([training.labels, test.labels])
    part = np.repeat([False, True], [len(training), len(test)])
    return Found(np.ascontiguousarray(pixels), labels, part, tuple("0123456789"))


READ: dict[str, Callable[[Files], Found]] = {
    read.__name__: read
    for read in (caltech101, cifar100, dtd, eurosat, flowers102, food101, gtsrb, pets, resisc45, sun397, svhn)
}
