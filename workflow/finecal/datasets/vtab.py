"""Tasks of VTAB with names of classes: one data set for each `task`, such as Caltech101, DTD or EuroSAT.

VTAB (Zhai et al. 2019, "A large-scale study of representation learning with the visual task adaptation benchmark")
adapts a model that does not know the task's classes. So the domains are:

- `images`: the task's training and test samples;
- `few`: `source_per_class` of the training samples of each class, which `images` then lacks, and the same test samples.
  A head over all classes is trained on it if the pretrained model has none (`few-images`);
- `web`: without images; it stands for what a model was trained on that already has a head for the classes
  (`web-images`).

Training and test samples are the publisher's if there is an official division; if not, they are drawn, stratified.
Samples that the publisher or torchvision keeps for validation are trained on; `validation_fraction` holds out samples
for any data set.

The patch_camelyon, retinopathy and synthetic tasks of VTAB have no names of things as classes and are left out;
`food101` and `gtsrb` are not in VTAB and use the same code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from finecal.config import Fraction, Seed
from finecal.datasets import find_downloads
from finecal.datasets._stored import Stored

if TYPE_CHECKING:
    import numpy as np

    from finecal.data.image_files import ImageFiles
    from finecal.data.packed import PackedImages
    from finecal.download.spec import Download, Files

LICENCE = "Each task has its own: see docs/datasets.md."
CITATION = (
    "X. Zhai et al., A large-scale study of representation learning with the visual task adaptation benchmark, 2019; "
    "and each task's own."
)


WEB = "web"


class Options(Stored):
    """Options of the data set."""

    task: Literal[
        "caltech101",
        "cifar100",
        "dtd",
        "eurosat",
        "flowers102",
        "food101",
        "gtsrb",
        "pets",
        "resisc45",
        "sun397",
        "svhn",
    ] = Field(
        description="Which task. CIFAR-100 and SVHN are stored with their own 32 × 32 pixels, whatever `size` is."
    )
    source_per_class: Annotated[int, Field(ge=0)] = Field(
        10, description="Training samples of each class in `few`, at most half of those that there are; 0: no `few`."
    )
    test_fraction: Fraction = Field(
        0.2, description="Part of the samples kept for testing, per class, where there is no official division."
    )
    seed: Seed = Field(0, description="Seed of that division, and of the choice of `few`.")


def domains(options: Options) -> tuple[str, ...]:
    return ("images", *(["few"] if options.source_per_class else []), WEB)


def without_images(options: Options) -> tuple[str, ...]:
    return (WEB,)


def classes(options: Options) -> tuple[str, ...] | None:
    from finecal.datasets._vtab import TASKS

    return TASKS[options.task].classes


def downloads(domain: str, options: Options) -> tuple[Download, ...]:
    from finecal.datasets._vtab import TASKS

    return () if domain == WEB else find_downloads("vtab", *TASKS[options.task].files)


# Numbers of images, for estimates: of all images, a part of which is drawn for testing, or of training images (with
# those for validation) and test images.
SIZES: dict[str, tuple[int, ...]] = {
    "caltech101": (8_677,), "cifar100": (50_000, 10_000), "dtd": (3_760, 1_880), "eurosat": (27_000,),
    "flowers102": (2_040, 6_149), "food101": (75_750, 25_250), "gtsrb": (26_640, 12_630), "pets": (3_680, 3_669),
    "resisc45": (25_200, 6_300), "sun397": (108_754,), "svhn": (73_257, 26_032),
}  # fmt: skip
CLASSES = {
    "caltech101": 101, "cifar100": 100, "dtd": 47, "eurosat": 10, "flowers102": 102, "food101": 101, "gtsrb": 43,
    "pets": 37, "resisc45": 45, "sun397": 397, "svhn": 10,
}  # fmt: skip


def sizes(domain: str, options: Options) -> tuple[int, int, int]:
    total = CLASSES[options.task]
    found = SIZES[options.task]
    test = found[1] if len(found) > 1 else round(options.test_fraction * found[0])
    train = found[0] if len(found) > 1 else found[0] - test
    few = min(options.source_per_class * total, train // 2)
    return (few if domain == "few" else train - few), test, total


def stored_side(options: Options) -> int:
    return 32 if options.task in ("cifar100", "svhn") else options.size


def prepare(domain: str, options: Options, files: Files) -> PackedImages | ImageFiles:
    """Return one domain of the task: pixels if the archive has arrays, else files to decode."""
    import numpy as np

    from finecal.data.divisions import stratified_test
    from finecal.data.image_files import ImageFiles
    from finecal.data.packed import PackedImages
    from finecal.datasets._vtab_read import READ
    from finecal.seeds import generator

    found = READ[options.task](files)
    test = found.test
    if test is None:
        random = generator("vtab", options.task, "test", options.seed)
        test = stratified_test(found.labels, options.test_fraction, random)
    few = _draw_few(found.labels, test, options.source_per_class, generator("vtab", options.task, "few", options.seed))
    kept = np.flatnonzero(test | few if domain == "few" else ~few)
    labels, test = found.labels[kept].astype(np.int32), test[kept]
    if isinstance(found.images, np.ndarray):
        return PackedImages(found.images[kept], labels, test, found.classes)
    return ImageFiles(
        files=tuple(found.images[int(i)] for i in kept),
        labels=labels,
        test=test,
        classes=found.classes,
        root=files.scratch,
        size=options.size,
        fit=options.fit,
    )


def _draw_few(labels: np.ndarray, test: np.ndarray, per_class: int, random: np.random.Generator) -> np.ndarray:
    """Draw this many training samples of each class, at most half of them, at least one; return a (N,) bool mask."""
    import numpy as np

    few = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels) if per_class else ():
        members = random.permutation(np.flatnonzero((labels == label) & ~test))
        few[members[: min(per_class, max(1, len(members) // 2))]] = True
    return few
