"""ImageNet-Sketch: black and white drawings of ImageNet's 1,000 classes; the paper's lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finecal.datasets._imagenet import SOURCE, listed_images
from finecal.datasets._official import CLASS_ORDERS, class_order, official_file
from finecal.datasets._stored import Stored
from finecal.download.spec import Download

if TYPE_CHECKING:
    from pathlib import Path

    from finecal.data.image_files import ImageFiles
    from finecal.download.spec import Files

LICENCE = "MIT for the collection; the images' copyright stays with their owners."
CITATION = (
    "H. Wang, S. Ge, E. P. Xing, Z. C. Lipton, Learning robust global representations by penalizing local predictive "
    "power, NeurIPS 2019."
)
PAGE = "https://github.com/HaohanWang/ImageNet-Sketch"
ARCHIVE = "ImageNet-Sketch.zip"
FINE_TUNING = 500


class Options(Stored):
    """Options of the data set."""


def domains(options: Options) -> tuple[str, ...]:
    return (SOURCE, "sketch")


def without_images(options: Options) -> tuple[str, ...]:
    return (SOURCE,)


def classes(options: Options) -> tuple[str, ...] | None:
    return None  # timm knows them, which is slow to import


def official_tasks(options: Options) -> tuple[str, ...]:
    return (f"{SOURCE}-sketch",)


def official_downloads(options: Options) -> tuple[Download, ...]:
    return (official_file(CLASS_ORDERS),)


def official_split(source: str, options: Options, folder: Path) -> tuple[tuple[int, ...], int]:
    return class_order(folder, "IMAGENET_TARGET_S_CLASSES"), FINE_TUNING


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    if domain == SOURCE:
        return ()
    urls = (
        "https://huggingface.co/datasets/songweig/imagenet_sketch/resolve/main/data/ImageNet-Sketch.zip",
        "https://drive.usercontent.google.com/download?id=1Mj0i5HBthqH1p_yeXzsg22gZduvgoNeA&confirm=t",
    )
    archive = Download(ARCHIVE, urls, by_hand=f"Go to {PAGE}, download {ARCHIVE}", about=7_600_000_000)
    return (archive, *(official_file(f"asset/ImageNet/image_list/S_{part}.txt") for part in ("training", "testing")))


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    return (0, 0, 1000) if domain == SOURCE else (40_889, 10_000, 1000)


def prepare(domain: str, options: Options, files: Files) -> ImageFiles:
    """The listed images: first those for training, then those for testing."""
    folder = files.extract(ARCHIVE, only=lambda member: member.endswith(".JPEG"))
    training, test = (files.path(f"S_{part}.txt") for part in ("training", "testing"))
    return listed_images(training, test, folder, inside=("imagenet-s", "sketch"), size=options.size, fit=options.fit)
