"""Data sets whose classes are ImageNet's 1,000: the head of the pretrained model has a row for each.

The source domain, ImageNet itself, has no images here, since its models come with their heads from timm's hub.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from finecal.data.image_files import ImageFiles

SOURCE = "imagenet"


def read_imagenet_lists(
    training: Path,
    test: Path,
    folder: Path,
    *,
    inside: tuple[str, str],
    size: int,
    fit: str,
    all_classes: bool = True,
) -> ImageFiles:
    """Read lists of images in folders that are named by WordNet numbers; the classes are ImageNet's.

    Parameters
    ----------
    folder
        The folder that the archive is unpacked in.
    inside
        The name of the first folder in the lists, and its name in the archive.
    all_classes
        Whether the data set has all 1,000 classes, or only those in the lists.

    Raises
    ------
    UserError
        If a list gives a class another number than ImageNet does.
    """
    from pathlib import PurePosixPath

    import numpy as np

    from finecal.data.image_files import ImageFiles
    from finecal.datasets._lists import read_list
    from finecal.errors import UserError
    from finecal.models.imagenet_classes import class_names, numbers_by_folder

    both = [read_list(training), read_list(test)]
    numbers = numbers_by_folder()
    files = []
    for name, label in (entry for entries in both for entry in entries):
        first, *rest = PurePosixPath(name).parts
        if first != inside[0] or len(rest) != 2 or numbers.get(rest[0]) != label:
            raise UserError(
                f"{name!r} is of class {label} there, ImageNet says {numbers.get(rest[0] if rest else '')}",
                where=str(training.parent),
            )
        files.append(folder.joinpath(inside[1], *rest))
    names = class_names()
    present = sorted({label for entries in both for _, label in entries})
    used = list(range(len(names))) if all_classes else present
    return ImageFiles(
        files=tuple(files),
        labels=np.searchsorted(used, [label for entries in both for _, label in entries]).astype(np.int32),
        test=np.repeat([False, True], [len(entries) for entries in both]),
        classes=tuple(names[number] for number in used),
        complete=used == present,  # ImageNet-R has 200 of the 1,000
        root=folder,
        size=size,
        fit=fit,  # type: ignore[arg-type]  # checked by `Stored`
    )
