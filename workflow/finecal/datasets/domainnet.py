"""DomainNet: 345 kinds of things in six styles, from clip art to photographs; the cleaned version with its lists.

The division into training and test samples is the publisher's. It leaves some classes without samples of one kind (the
paintings have no training sample of `t-shirt` and no test sample of `syringe`); such a class is divided anew.

The publisher gives no licence and no hash. The MD5 sums are those that users of the files wrote down. Its addresses
do not work with https everywhere; the sums tell whether a file is the right one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from finecal.config import Fraction, Listed, Seed
from finecal.datasets import find_downloads
from finecal.datasets._stored import Stored

if TYPE_CHECKING:
    from finecal.data.image_files import ImageFiles
    from finecal.download.spec import Download, Files

LICENCE = "For non-commercial research and education; the images' copyright stays with their owners."
CITATION = (
    "X. Peng, Q. Bai, X. Xia, Z. Huang, K. Saenko, B. Wang, Moment matching for multi-source domain adaptation, "
    "ICCV 2019."
)
Domain = Literal["clipart", "infograph", "painting", "quickdraw", "real", "sketch"]
# Domain → training and test samples in the lists.
SIZES = {
    "clipart": (33_525, 14_604),
    "infograph": (36_023, 15_582),
    "painting": (50_416, 21_850),
    "quickdraw": (120_750, 51_750),
    "real": (120_906, 52_041),
    "sketch": (48_212, 20_916),
}


def _check_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a domain is given twice")
    return names


class Options(Stored):
    """Options of the data set."""

    domains: Annotated[Listed[Domain], Field(min_length=2), AfterValidator(_check_distinct)] = Field(
        ("clipart", "infograph", "painting", "quickdraw", "real", "sketch"),
        description="The domains that there are. The first one is always prepared: its lists name the classes.",
    )
    test_fraction: Fraction = Field(
        0.3, description="Part of the samples kept for testing, of the classes that are divided anew."
    )
    seed: Seed = Field(0, description="Seed of that division.")


def domains(options: Options) -> tuple[str, ...]:
    return options.domains


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    return find_downloads("domainnet", f"{domain}.zip", f"{domain}_train.txt", f"{domain}_test.txt")


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    return *SIZES[domain], 345


def prepare(domain: str, options: Options, files: Files) -> ImageFiles:
    """Return the listed images of one domain: first those of the list of training samples, then those of the other."""
    import numpy as np

    from finecal.data.image_files import ImageFiles
    from finecal.datasets._lists import name_classes_by_folder, read_list, redraw_incomplete_classes
    from finecal.seeds import generator

    training, test = (read_list(files.path(f"{domain}_{subset}.txt")) for subset in ("train", "test"))
    names = name_classes_by_folder([*training, *test])
    labels = np.array([label for _, label in [*training, *test]], dtype=np.int32)
    official = np.repeat([False, True], [len(training), len(test)])
    random = generator("domainnet", domain, "test", options.seed)
    folder = files.extract(f"{domain}.zip")
    return ImageFiles(
        files=tuple(folder / name for name, _ in [*training, *test]),
        labels=labels,
        test=redraw_incomplete_classes(labels, official, names, options.test_fraction, random),
        classes=names,
        root=folder,
        size=options.size,
        fit=options.fit,
    )
