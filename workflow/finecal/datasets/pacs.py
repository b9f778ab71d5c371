"""PACS: seven kinds of things as art paintings, cartoons, photographs and sketches.

The archive is on Google Drive, which shows a page before it gives a large file: a person has to fetch it. It has
`kfold/{domain}/{class}/*.jpg` (or `.png`). The division into training and test samples is drawn here, stratified. The
publisher's folds are not used: they divide the training domains for domain generalization.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from finecal.config import Fraction, Seed
from finecal.datasets import find_downloads
from finecal.datasets._stored import Stored
from finecal.errors import UserError

if TYPE_CHECKING:
    from finecal.data.image_files import ImageFiles
    from finecal.download.spec import Download, Files

DOMAINS = ("art_painting", "cartoon", "photo", "sketch")
CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
SIZES = {"art_painting": 2_048, "cartoon": 2_344, "photo": 1_670, "sketch": 3_929}
ARCHIVE = "PACS.zip"

LICENCE = "None stated by the publisher; used for research."
CITATION = "D. Li, Y. Yang, Y.-Z. Song, T. Hospedales, Deeper, broader and artier domain generalization, ICCV 2017."


class Options(Stored):
    """Options of the data set."""

    test_fraction: Fraction = Field(0.3, description="Part of each domain's samples kept for testing, per class.")
    seed: Seed = Field(0, description="Seed of the train/test division.")


def domains(options: Options) -> tuple[str, ...]:
    return DOMAINS


def classes(options: Options) -> tuple[str, ...]:
    return CLASSES


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    return find_downloads("pacs", ARCHIVE)


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    test = round(options.test_fraction * SIZES[domain])
    return SIZES[domain] - test, test, len(CLASSES)


def prepare(domain: str, options: Options, files: Files) -> ImageFiles:
    """Return all images of one domain by class, those of a class in the order of their names."""
    import numpy as np

    from finecal.data.divisions import stratified_test
    from finecal.data.image_files import ImageFiles
    from finecal.seeds import generator

    folder = files.extract(ARCHIVE, only=lambda member: f"/{domain}/" in f"/{member}" and "__MACOSX" not in member)
    found = [(file, label) for label, name in enumerate(CLASSES) for file in _list_images(folder, domain, name)]
    labels = np.array([label for _, label in found], dtype=np.int32)
    test = stratified_test(labels, options.test_fraction, generator("pacs", domain, "test", options.seed))
    return ImageFiles(
        files=tuple(file for file, _ in found),
        labels=labels,
        test=test,
        classes=CLASSES,
        root=folder,
        size=options.size,
        fit=options.fit,
    )


def _list_images(folder: Path, domain: str, name: str) -> list[Path]:
    """List the images of a class, wherever in the archive the folder of the domain is."""
    found = sorted(file for file in folder.glob(f"**/{domain}/{name}/*") if not file.name.startswith("."))
    if not found:
        raise UserError(f"there is no image in a folder {domain}/{name}", where=ARCHIVE)
    return found
