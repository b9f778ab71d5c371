"""Office-Home: 65 kinds of things from offices and homes, in four domains; the paper's lists and class orders.

The published code takes the images from the archives of the Transfer Learning Library, one for each domain, and its
lists have their file names. The publisher of the data set has all domains in one archive. Neither gives a hash.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from finecal.datasets import find_downloads
from finecal.datasets._official import CLASS_ORDERS, read_class_order, read_lists
from finecal.datasets._stored import Stored

if TYPE_CHECKING:
    from finecal.data.image_files import ImageFiles
    from finecal.download.spec import Download, Files

LICENCE = "For non-commercial research and education; the images' copyright stays with their owners."
CITATION = (
    "H. Venkateswara, J. Eusebio, S. Chakraborty, S. Panchanathan, Deep hashing network for unsupervised domain "
    "adaptation, CVPR 2017."
)

# Domain → its name in lists and archives.
DOMAINS = {"Ar": "Art", "Cl": "Clipart", "Pr": "Product", "Rw": "Real_World"}
# Training and test images in the lists.
SIZES = {"Ar": (1677, 750), "Cl": (3035, 1330), "Pr": (3078, 1361), "Rw": (3022, 1335)}
WHOLE = "OfficeHomeDataset_10072016"

# Source domain → the order of the classes in the published code.
ORDERS = {"Ar": "OFFICEHOME_SOURCE_AR_CLASSES", "Rw": "OFFICEHOME_SOURCE_RW_CLASSES"}
FINE_TUNING = 30


class Options(Stored):
    """Options of the data set."""

    archives: Literal["library", "publisher"] = Field(
        "library",
        description="Where the images are from: `library`, one archive for each domain as the published code takes "
        "them, or `publisher`, all in one archive.",
    )


def domains(options: Options) -> tuple[str, ...]:
    return tuple(DOMAINS)


def official_tasks(options: Options) -> tuple[str, ...]:
    return tuple(f"{source}-{target}" for source in ORDERS for target in DOMAINS if target != source)


def official_downloads(options: Options) -> tuple[Download, ...]:
    return find_downloads("office_home", CLASS_ORDERS)


def official_split(source: str, options: Options, folder: Path) -> tuple[tuple[int, ...], int]:
    return read_class_order(folder, ORDERS[source]), FINE_TUNING


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    name = DOMAINS[domain]
    archive = f"{WHOLE}.zip" if options.archives == "publisher" else f"{name}.tgz"
    return find_downloads("office_home", archive, f"{name}_training.txt", f"{name}_testing.txt")


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    return *SIZES[domain], 65


def prepare(domain: str, options: Options, files: Files) -> ImageFiles:
    """Return the listed images of one domain: first those for training, then those for testing."""
    name = DOMAINS[domain]
    if options.archives == "publisher":
        inside = f"{WHOLE}/{name.replace('_', ' ')}/"
        folder = files.extract(f"{WHOLE}.zip", only=lambda member: member.startswith(inside)) / WHOLE
        spaced = folder / name.replace("_", " ")
        if spaced.name != name and spaced.is_dir():
            spaced.rename(folder / name)  # as the lists have it
    else:
        folder = files.extract(f"{name}.tgz", only=lambda member: member.startswith((f"{name}/", f"./{name}/")))
    training, test = (files.path(f"{name}_{part}.txt") for part in ("training", "testing"))
    return read_lists(training, test, folder, size=options.size, fit=options.fit)
