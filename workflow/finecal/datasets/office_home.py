"""Office-Home: 65 kinds of things from offices and homes, in four domains; the paper's lists and class orders.

The published code takes the images from the archives of the Transfer Learning Library (one for each domain), whose file
names its lists have; the publisher of the data set has all domains in one archive, which is fetched by hand. Neither
gives a hash.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from finecal.datasets._official import CLASS_ORDERS, class_order, listed, official_file
from finecal.datasets._stored import Stored
from finecal.download.spec import Download

if TYPE_CHECKING:
    from finecal.data.image_files import ImageFiles
    from finecal.download.spec import Files

LICENCE = "For non-commercial research and education; the images' copyright stays with their owners."
CITATION = (
    "H. Venkateswara, J. Eusebio, S. Chakraborty, S. Panchanathan, Deep hashing network for unsupervised domain "
    "adaptation, CVPR 2017."
)
PAGE = "https://www.hemanthdv.org/officeHomeDataset.html"

# Domain → its name in lists and archives, and where the library has its archive, now and in the published code.
DOMAINS = {
    "Ar": ("Art", "81a4f30c7e894298b435", "6a006656b9a14567ade2"),
    "Cl": ("Clipart", "d4ad15137c734917aa5c", "ae88aa31d2d7411dad79"),
    "Pr": ("Product", "a6b643999c574184bbcd", "f219b0ff35e142b3ab48"),
    "Rw": ("Real_World", "60ca8452bcf743408245", "6c19f3f15bb24ed3951a"),
}
# Training and test images in the lists.
SIZES = {"Ar": (1677, 750), "Cl": (3035, 1330), "Pr": (3078, 1361), "Rw": (3022, 1335)}
ABOUT = 1_100_000_000  # bytes of all domains
WHOLE = "OfficeHomeDataset_10072016"
DRIVE = "https://drive.usercontent.google.com/download?id=0B81rNlvomiwed0V1YUxQdC1uOTg&confirm=t"

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


def classes(options: Options) -> tuple[str, ...] | None:
    return None  # their names are in the lists


def official_tasks(options: Options) -> tuple[str, ...]:
    return tuple(f"{source}-{target}" for source in ORDERS for target in DOMAINS if target != source)


def official_downloads(options: Options) -> tuple[Download, ...]:
    return (official_file(CLASS_ORDERS),)


def official_split(source: str, options: Options, folder: Path) -> tuple[tuple[int, ...], int]:
    return class_order(folder, ORDERS[source]), FINE_TUNING


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    name, now, before = DOMAINS[domain]
    lists = [official_file(f"asset/OfficeHome/image_list/{name}_{part}.txt") for part in ("training", "testing")]
    if options.archives == "publisher":
        by_hand = f"Go to {PAGE}, agree to its terms, download {WHOLE}.zip"
        return (Download(f"{WHOLE}.zip", (DRIVE,), by_hand=by_hand, about=ABOUT), *lists)
    urls = tuple(f"https://cloud.tsinghua.edu.cn/f/{key}/?dl=1" for key in (now, before))
    by_hand = f"If the library has it no more, say `archives: publisher`; or pack {name}/class/file from {PAGE}"
    # A domain's part of the whole is not known: shared out by the numbers of images.
    part = sum(SIZES[domain]) / sum(map(sum, SIZES.values()))
    return (Download(f"{name}.tgz", urls, by_hand=by_hand, about=round(ABOUT * part)), *lists)


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    return *SIZES[domain], 65


def prepare(domain: str, options: Options, files: Files) -> ImageFiles:
    """The listed images of one domain: first those for training, then those for testing."""
    name = DOMAINS[domain][0]
    if options.archives == "publisher":
        inside = f"{WHOLE}/{name.replace('_', ' ')}/"
        folder = files.extract(f"{WHOLE}.zip", only=lambda member: member.startswith(inside)) / WHOLE
        spaced = folder / name.replace("_", " ")
        if spaced.name != name and spaced.is_dir():
            spaced.rename(folder / name)  # as the lists have it
    else:
        folder = files.extract(f"{name}.tgz", only=lambda member: member.startswith((f"{name}/", f"./{name}/")))
    training, test = (files.path(f"{name}_{part}.txt") for part in ("training", "testing"))
    return listed(training, test, folder, size=options.size, fit=options.fit)
