"""iWildCam 2020 as in WILDS (version 2.0): animals in camera traps; the target domain has cameras at other places.

The domain `train_locations` has the cameras of WILDS's training split: its training samples, and as test samples those
of `id_test` (the same cameras on other days). `test_locations` and `val_locations` have other cameras. WILDS does not
divide their samples, so a part of their sequences is drawn for testing. A camera takes several images in a row, which
are almost the same: a sequence is either for training or for testing.

Many species appear at few cameras only. Y are the species with at least `min_per_class` training and test samples in
both domains; how many there are is known only from the archive.

CodaLab packs the archive anew for every download, so neither a hash nor a size holds for all of them.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from finecal.config import Count, Fraction, Seed
from finecal.datasets import find_downloads
from finecal.datasets._stored import Stored

if TYPE_CHECKING:
    from finecal.data.image_files import ImageFiles
    from finecal.download.spec import Download, Files

ARCHIVE = "iwildcam_v2.0.tar.gz"
SOURCE = "train_locations"

LICENCE = "Community Data License Agreement, Permissive, version 1.0 (https://cdla.io/permissive-1-0)."
CITATION = (
    "S. Beery, A. Agarwal, E. Cole, V. Birodkar, The iWildCam 2021 competition dataset, 2021; P. W. Koh et al., WILDS: "
    "a benchmark of in-the-wild distribution shifts, ICML 2021."
)


class Options(Stored):
    """Options of the data set."""

    target: Literal["test_locations", "val_locations"] = Field(
        "test_locations", description="The other cameras: those of WILDS's split `test` or `val`."
    )
    empty: bool = Field(False, description="Whether pictures without an animal are samples of a class `empty`.")
    min_per_class: Count = Field(
        10, description="Training and test samples that a class must have in both domains to be one of Y."
    )
    max_per_class: Count | None = Field(
        None, description="Most training samples of a class, and most test samples; more are left out at random."
    )
    test_fraction: Fraction = Field(0.5, description="Part of the target's sequences kept for testing, per class.")
    seed: Seed = Field(0, description="Seed of the division and of what is left out.")


def domains(options: Options) -> tuple[str, ...]:
    return (SOURCE, options.target)


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    return find_downloads("iwildcam", ARCHIVE)


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    """Return upper bounds: the archive tells which species have enough images."""
    total, most = 182, options.max_per_class
    if domain == SOURCE:
        train, test = 129_809, 8_154
    else:
        both = 42_791 if options.target == "test_locations" else 14_961
        test = round(options.test_fraction * both)
        train = both - test
    return (train, test, total) if most is None else (min(train, most * total), min(test, most * total), total)


def prepare(domain: str, options: Options, files: Files) -> ImageFiles:
    """Return the images of one domain. The archive is read twice: for its tables, then for the images of the domain."""
    from finecal.data.image_files import ImageFiles
    from finecal.datasets._iwildcam import choose_samples, read_tables
    from finecal.download.archives import extract

    tables = ("metadata.csv", "categories.csv")
    folder = files.extract(ARCHIVE, only=lambda member: PurePosixPath(member).name in tables)
    names, samples = choose_samples(*read_tables(folder), options, source=SOURCE)
    samples = samples[samples["domain"] == domain]
    wanted = {f"train/{name}" for name in samples["filename"]}  # all images of the archive are in its folder `train`
    images = files.scratch / "images"
    extract(files.path(ARCHIVE), images, only=lambda member: "/".join(PurePosixPath(member).parts[-2:]) in wanted)
    top = next((path.parent for path in images.glob("**/train")), images)
    return ImageFiles(
        files=tuple(top / "train" / name for name in samples["filename"]),
        labels=samples["class"].to_numpy("int32"),
        test=samples["is_test"].to_numpy(bool),
        classes=names,
        root=top,
        size=options.size,
        fit=options.fit,
    )
