"""Where the images of a domain are: a folder with a folder for each class, or a list of files and labels."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from finecal.datasets._image_files import class_folders, images_in, others_in
from finecal.datasets._image_lists import LISTS, Row, read_list
from finecal.errors import UserError, join_names

DOMAINS = ("source", "target")
SHOWN = 10


@dataclass(frozen=True)
class Place:
    """Where images of a domain are: a folder or a list."""

    path: Path
    domain: str

    @classmethod
    def of(cls, path: str, domain: str) -> Place:
        return cls(Path(path).absolute(), domain)

    @property
    def is_list(self) -> bool:
        return self.path.suffix.lower() in LISTS

    @property
    def root(self) -> Path:
        """What the names of the files are relative to."""
        return self.path.parent if self.is_list else self.path

    def names(self, rows: Sequence[Row]) -> list[str]:
        """How the files are called, wherever the place is.

        Relative to `root`; those elsewhere, which a list names by absolute paths, begin with / and are relative to the
        folder that they have in common.
        """
        root, files = os.path.join(self.root, ""), [os.fspath(row.file) for row in rows]  # noqa: PTH118 - ends in /
        outside = {os.path.dirname(file) for file in files if not file.startswith(root)}  # noqa: PTH120 - of every file
        common = os.path.commonpath(outside) if outside else ""
        return [file.removeprefix(root if file.startswith(root) else common) for file in files]

    def rows(self) -> list[Row]:
        """All images, sorted by class and name, or in the list's order."""
        if self.is_list:
            return list(_known_rows(self.path, self.domain))
        folders = class_folders(self.path)
        return [Row(file, name, None) for name, folder in folders.items() for file in images_in(folder)]


# A study is checked in many steps, which ask for the same again and again.
@cache
def _known_rows(path: Path, domain: str) -> tuple[Row, ...]:
    return tuple(read_list(path, domain, DOMAINS))


@cache
def class_counts(place: Place) -> dict[str, int]:
    """Class → number of its images, where 2 stands for any larger number."""
    if place.is_list:
        counts: dict[str, int] = {}
        for row in place.rows():
            counts[row.label] = min(2, counts.get(row.label, 0) + 1)
        return counts
    folders = class_folders(place.path)
    found = {name: len(images_in(folder, at_most=2)) for name, folder in folders.items()}
    if not any(found.values()):
        raise UserError("there is no image in its folders", where=str(place.path))
    return {name: count for name, count in found.items() if count or place.domain == "source"}


def says_subset(place: Place) -> bool:
    """Whether it is a list that says which images are for testing."""
    return place.is_list and any(row.subset for row in place.rows())


def tell_left_out(*places: Place | None) -> None:
    """Name in the log what is not taken for an image."""
    for place in places:
        if place is None or place.is_list:
            continue
        folders = class_folders(place.path)
        others = sum((others_in(folder) for folder in folders.values()), start=Counter())
        if others:
            kinds = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
            print(f"{place.path}: not taken for images by their names: {kinds}", file=sys.stderr)
        if empty := [name for name, folder in folders.items() if not images_in(folder, at_most=1)]:
            print(f"{place.path}: no image of {listed(empty)}", file=sys.stderr)


def listed(names: list[str]) -> str:
    """Join the first few names, quoted, as an error shows them."""
    return join_names([repr(name) for name in names], SHOWN)
