"""DomainNet: 345 kinds of things in six styles, from clip art to photographs; the cleaned version with its lists.

The division into training and test samples is the publisher's. In it some classes have no sample of one kind (of the
paintings: no training sample of `t-shirt`, no test sample of `syringe`); the samples of such a class are divided anew.

No licence is given, and the publisher gives no hash: the MD5 sums are those that users of the files wrote down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from finecal.config import Fraction, Listed, Seed
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
PAGE = "csr.bu.edu/ftp/visda/2019/multi-source"
# Domain → archive, its MD5, those of the lists of training and test samples.
ARCHIVES: dict[str, tuple[str, str, str, str]] = {
    "clipart": ("groundtruth/clipart.zip", "cd0d8f2d77a4e181449b78ed62bccf1e",
                "b4349693a7f9c05c53955725c47ed6cb", "f5ddbcfd657a3acf9d0f7da10db22565"),
    "infograph": ("infograph.zip", "720380b86f9e6ab4805bb38b6bd135f8",
                  "379b50054f4ac2018dca4f89421b92d9", "779626b50869edffe8ea6941c3755c71"),
    "painting": ("groundtruth/painting.zip", "1ae32cdb4f98fe7ab5eb0a351768abfd",
                 "7db0e7ca73ad9982f6e1f7f3ef372c0a", "232b35dc53f26d414686ae579e38d9b5"),
    "quickdraw": ("quickdraw.zip", "bdc1b6f09f277da1a263389efe0c7a66",
                  "b732ced3939ac8efdd8c0a889dca56cc", "c1a828fdfe216fb109f1c0083a252c6f"),
    "real": ("real.zip", "dcc47055e8935767784b7162e7c7cca6",
             "8ebf02c2075fadd564705f0dc7cd6291", "6098816791c3ebed543c71ffa11b9054"),
    "sketch": ("sketch.zip", "658d8009644040ff7ce30bb2e820850f",
               "1233bd18aa9a8a200bf4cecf1c34ef3e", "d8a222e4672cfd585298aa14d02ea441"),
}  # fmt: skip
# Domain → training and test samples in the lists, and bytes of the archive.
SIZES = {
    "clipart": (33_525, 14_604, 1_300_000_000),
    "infograph": (36_023, 15_582, 4_000_000_000),
    "painting": (50_416, 21_850, 3_700_000_000),
    "quickdraw": (120_750, 51_750, 440_000_000),
    "real": (120_906, 52_041, 5_600_000_000),
    "sketch": (48_212, 20_916, 2_500_000_000),
}


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("each domain once")
    return names


class Options(Stored):
    """Options of the data set."""

    domains: Annotated[Listed[Domain], Field(min_length=2), AfterValidator(_distinct)] = Field(
        ("clipart", "infograph", "painting", "quickdraw", "real", "sketch"),
        description="The domains that there are. The first one is always prepared: its lists name the classes.",
    )
    test_fraction: Fraction = Field(
        0.3, description="Part of the samples kept for testing, of the classes that are divided anew."
    )
    seed: Seed = Field(0, description="Seed of that division.")


def domains(options: Options) -> tuple[str, ...]:
    return options.domains


def classes(options: Options) -> tuple[str, ...] | None:
    return None  # their names are in the lists


def official_tasks(options: Options) -> tuple[str, ...]:
    return ()


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    from finecal.download.spec import Download

    archive, md5, training, test = ARCHIVES[domain]
    lists = 5_000_000  # at most
    files = (
        (f"{domain}.zip", archive, md5, SIZES[domain][2]),
        (f"{domain}_train.txt", f"domainnet/txt/{domain}_train.txt", training, lists),
        (f"{domain}_test.txt", f"domainnet/txt/{domain}_test.txt", test, lists),
    )
    # Its https works not everywhere; the MD5 sums say whether the files are the right ones.
    return tuple(
        Download(name, urls=(f"http://{PAGE}/{path}", f"https://{PAGE}/{path}"), md5=hashed, about=size)
        for name, path, hashed, size in files
    )


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    return *SIZES[domain][:2], 345


def prepare(domain: str, options: Options, files: Files) -> ImageFiles:
    """The listed images of one domain: first those of the list of training samples, then those of the other."""
    import numpy as np

    from finecal.data.image_files import ImageFiles
    from finecal.datasets._lists import divided_anew, named_by_folder, read_list
    from finecal.seeds import generator

    training, test = (read_list(files.path(f"{domain}_{subset}.txt")) for subset in ("train", "test"))
    names = named_by_folder([*training, *test])
    labels = np.array([label for _, label in [*training, *test]], dtype=np.int32)
    official = np.repeat([False, True], [len(training), len(test)])
    random = generator("domainnet", domain, "test", options.seed)
    folder = files.extract(f"{domain}.zip")
    return ImageFiles(
        files=tuple(folder / name for name, _ in [*training, *test]),
        labels=labels,
        test=divided_anew(labels, official, names, options.test_fraction, random),
        classes=names,
        root=folder,
        size=options.size,
        fit=options.fit,
    )
