"""ImageNet-R: paintings, toys, tattoos and other renditions of 200 of ImageNet's classes; the paper's lists.

By default all 1,000 classes are classes of the data set, since the pretrained model's head has a row for each and the
published code takes the arg-max over all of them. So U has 900 classes, 100 of which have samples. `classes: present`
keeps the 200 classes that have samples, and their rows of the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from finecal.datasets import find_downloads
from finecal.datasets._imagenet import SOURCE, read_imagenet_lists
from finecal.datasets._official import CLASS_ORDERS, read_class_order
from finecal.datasets._stored import Stored

if TYPE_CHECKING:
    from pathlib import Path

    from finecal.data.image_files import ImageFiles
    from finecal.download.spec import Download, Files

LICENCE = "MIT for the collection; the images' copyright stays with their owners."
CITATION = (
    "D. Hendrycks, S. Basart, N. Mu, S. Kadavath, F. Wang, E. Dorundo, R. Desai, T. Zhu, S. Parajuli, M. Guo, D. Song, "
    "J. Steinhardt, J. Gilmer, The many faces of robustness, ICCV 2021."
)
ARCHIVE = "imagenet-r.tar"
FINE_TUNING = 100


class Options(Stored):
    """Options of the data set."""

    classes: Literal["all", "present"] = Field(
        "all",
        description="Y: `all` 1,000 classes of ImageNet, as in the published code, or the 200 that are `present`.",
    )


def domains(options: Options) -> tuple[str, ...]:
    return (SOURCE, "r")


def without_images(options: Options) -> tuple[str, ...]:
    return (SOURCE,)


def official_tasks(options: Options) -> tuple[str, ...]:
    return (f"{SOURCE}-r",)


def official_downloads(options: Options) -> tuple[Download, ...]:
    return find_downloads("imagenet_r", CLASS_ORDERS)


def official_split(source: str, options: Options, folder: Path) -> tuple[tuple[int, ...], int]:
    order = read_class_order(folder, "IMAGENET_TARGET_R_CLASSES")
    if options.classes == "present":  # which are those of the order
        places = {number: place for place, number in enumerate(sorted(order))}
        order = tuple(places[number] for number in order)
    return order, FINE_TUNING


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    return () if domain == SOURCE else find_downloads("imagenet_r", ARCHIVE, "R_training.txt", "R_testing.txt")


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    total = 1000 if options.classes == "all" else 200
    return (0, 0, total) if domain == SOURCE else (24_076, 5_924, total)


def prepare(domain: str, options: Options, files: Files) -> ImageFiles:
    """Return the listed images: first those for training, then those for testing."""
    folder = files.extract(ARCHIVE, only=lambda member: member.endswith(".jpg"))
    training, test = (files.path(f"R_{part}.txt") for part in ("training", "testing"))
    return read_imagenet_lists(
        training,
        test,
        folder,
        inside=("imagenet-r", "imagenet-r"),
        size=options.size,
        fit=options.fit,
        all_classes=options.classes == "all",
    )
