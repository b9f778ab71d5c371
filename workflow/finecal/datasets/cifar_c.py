"""CIFAR-10 or CIFAR-100, and the same images with seeded corruptions as target domains.

The domain `clean` has the images without corruption, `mixed` has one corruption for each image, drawn at random, and
each other domain has one corruption of all images. An image has the same index and subset in all domains, so a test
image is never trained on. The corruptions are this project's own (`_corruptions.py`) and follow the idea of Hendrycks &
Dietterich 2019, "Benchmarking neural network robustness to common corruptions and perturbations"; they are not the
files of CIFAR-10-C.

The binary version of the archives is read: the others have pickles, which run code when they are opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from finecal.config import Model, Seed
from finecal.datasets import find_downloads

if TYPE_CHECKING:
    from finecal.data.packed import PackedImages
    from finecal.download.spec import Download, Files

CORRUPTIONS = (
    "gaussian_noise", "shot_noise", "impulse_noise", "blur", "pixelate", "jpeg", "contrast", "brightness", "fading",
)  # fmt: skip

LICENCE = "None stated by the publisher, University of Toronto; used for research."
CITATION = "A. Krizhevsky, Learning multiple layers of features from tiny images, University of Toronto, 2009."


class Options(Model):
    """Options of the data set."""

    classes: Literal[10, 100] = Field(10, description="CIFAR-10 or CIFAR-100 (its fine classes).")
    severity: Annotated[int, Field(ge=1, le=5)] = Field(3, description="How strong the corruptions are, from 1 to 5.")
    seed: Seed = Field(0, description="Seed of the corruptions.")


def domains(options: Options) -> tuple[str, ...]:
    return ("clean", *CORRUPTIONS, "mixed")


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    from finecal.datasets._cifar import ARCHIVES

    return find_downloads("cifar_c", ARCHIVES[options.classes])


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    return 50_000, 10_000, options.classes


def stored_side(options: Options) -> int:
    return 32


def prepare(domain: str, options: Options, files: Files) -> PackedImages:
    """Return the images of one domain: 32 × 32, in color, with the publisher's division."""
    from dataclasses import replace

    from finecal.datasets._cifar import read_cifar
    from finecal.datasets._corruptions import corrupt, corrupt_mixed

    images = read_cifar(options.classes, files)
    if domain == "clean":
        return images
    if domain == "mixed":
        pixels = corrupt_mixed(images.pixels, CORRUPTIONS, options.severity, options.seed)
    else:
        pixels = corrupt(images.pixels, domain, options.severity, options.seed)
    return replace(images, pixels=pixels)
