"""Recognise folders that are laid out otherwise than one folder for each class, and offer the setting that fits."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from finecal.datasets._image_files import list_class_folders, list_folders, list_images
from finecal.datasets._image_places import Place
from finecal.errors import UserError, counted

# How the parts of a data set are called, and of those that are not for training, the one to test on first.
TRAINING = ("train", "training", "train_set", "trainset")
TESTING = ("test", "testing", "val", "valid", "validation", "eval", "dev", "test_set", "testset")


def check_layout(place: Place, classes: Collection[str] | None) -> None:
    """Raise UserError if the folders are parts of a data set, such as train and val, or hold them for each class.

    Parameters
    ----------
    classes
        The names of the classes, if the user gives them: folders that are so called are classes.
    """
    if place.is_list:
        return
    with place.named():
        folders = list_class_folders(place.path)
        names = list(folders) if classes is None else [name for name in folders if name not in classes]
        train, tests = _parts(names)
        if train is not None:
            only = {train, *tests} >= set(names)
            inside = list_folders(folders[train])
            if (tests and (only or inside)) or (only and inside):
                # Publishers often give test images without classes, which cannot be tested on.
                divided = [name for name in tests if list_folders(folders[name])]
                raise _parts_error(place, train, tests, divided if inside else tests)
        elif len(folders) == 1 and classes is None:
            _check_wrapping(place, *folders.items())
        if len(folders) > 1 and all(_is_divided(list_folders(folder)) for folder in folders.values()):
            raise UserError(
                f"the folder of each class is divided: {', '.join(list_folders(next(iter(folders.values()))))}",
                where=str(place.path), why="Folders in the folder of a class are followed, so the parts would be mixed",
                hint="Put the classes below the parts (train/cat, val/cat), or give a list with the columns file, "
                "label and subset",
            )  # fmt: skip


def _parts(names: Collection[str]) -> tuple[str | None, list[str]]:
    """Return the folder of training images, and those of others, the one to test on first."""
    called = {name.casefold(): name for name in names}
    train = next((called[name] for name in TRAINING if name in called), None)
    return train, [called[name] for name in TESTING if name in called]


def _is_divided(inside: Collection[str]) -> bool:
    train, tests = _parts(inside)
    return train is not None and bool(tests)


def _parts_error(place: Place, train: str, tests: list[str], usable: list[str]) -> UserError:
    folder, domain = shown(place.path), place.domain
    found = " and ".join(repr(name) for name in (train, *tests))
    setting = [f"`{domain}: {folder}/{train}`"] if place.key == domain else []
    setting += [f"`{domain}_test: {folder}/{usable[0]}`"] if usable else []
    setting = setting or [f"`{place.key}: {folder}/{train}`"]
    others = f" (or {' or '.join(usable[1:])})" if len(usable) > 1 else ""
    return UserError(
        f"{found} {'are parts' if tests else 'is a part'} of a data set and no class{'es' * bool(tests)}",
        where=str(place.path), why="This option is a folder with a folder of images for each class",
        hint=f"Say {', '.join(setting)}{others}; where they are classes, name all in `classes`",
    )  # fmt: skip


def _check_wrapping(place: Place, only: tuple[str, Path]) -> None:
    """Raise UserError if the only folder has no image itself, but several folders that have."""
    name, folder = only
    inside = list_folders(folder)
    direct = any(path.parent == folder for path in list_images(folder, at_most=1))
    if len(inside) > 1 and not direct:
        raise UserError(
            f"there is only the folder {name!r}, with {counted(len(inside), 'folder')} in it", where=str(place.path),
            why="This option is a folder with a folder of images for each class",
            hint=f"If those are the classes, say `{place.key}: {shown(folder)}`",
        )  # fmt: skip


def shown(path: Path) -> str:
    """Return a path as a study would have it: relative to the working directory, if it is below it."""
    here = Path(os.path.abspath("."))  # noqa: PTH100 - `Path.absolute` keeps `..`
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()
