"""ImageNet-Sketch: black and white drawings of ImageNet's 1,000 classes; the paper's lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    "H. Wang, S. Ge, E. P. Xing, Z. C. Lipton, Learning robust global representations by penalizing local predictive "
    "power, NeurIPS 2019."
)
ARCHIVE = "ImageNet-Sketch.zip"
FINE_TUNING = 500


class Options(Stored):
    """Options of the data set."""


def domains(options: Options) -> tuple[str, ...]:
    return (SOURCE, "sketch")


def without_images(options: Options) -> tuple[str, ...]:
    return (SOURCE,)


def official_tasks(options: Options) -> tuple[str, ...]:
    return (f"{SOURCE}-sketch",)


def official_downloads(options: Options) -> tuple[Download, ...]:
    return find_downloads("imagenet_s", CLASS_ORDERS)


def official_split(source: str, options: Options, folder: Path) -> tuple[tuple[int, ...], int]:
    return read_class_order(folder, "IMAGENET_TARGET_S_CLASSES"), FINE_TUNING


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    return () if domain == SOURCE else find_downloads("imagenet_s", ARCHIVE, "S_training.txt", "S_testing.txt")


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    return (0, 0, 1000) if domain == SOURCE else (40_889, 10_000, 1000)


def prepare(domain: str, options: Options, files: Files) -> ImageFiles:
    """Return the listed images: first those for training, then those for testing."""
    folder = files.extract(ARCHIVE, only=lambda member: member.endswith(".JPEG"))
    training, test = (files.path(f"S_{part}.txt") for part in ("training", "testing"))
    return read_imagenet_lists(
        training, test, folder, inside=("imagenet-s", "sketch"), size=options.size, fit=options.fit
    )
