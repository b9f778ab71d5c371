"""Locate the images of a domain: a folder with a folder for each class, or a list of files and labels."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from finecal.datasets._image_files import count_other_files, list_class_folders, list_images
from finecal.datasets._image_lists import LISTS, Row, read_list
from finecal.errors import UserError, join_names

DOMAINS = ("source", "target")
SHOWN = 10


@dataclass(frozen=True)
class Place:
    """A folder or a list with images of a domain."""

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
        """The folder that the names of the files are relative to."""
        return self.path.parent if self.is_list else self.path

    def names(self, rows: Sequence[Row]) -> list[str]:
        """Return names of the files that do not depend on where the folder or list is.

        They are relative to `root`. Names of files elsewhere, which a list gives by absolute paths, are relative to the
        folder that these have in common, and begin with /.
        """
        root, files = os.path.join(self.root, ""), [os.fspath(row.file) for row in rows]  # noqa: PTH118 - ends in /
        outside = {os.path.dirname(file) for file in files if not file.startswith(root)}  # noqa: PTH120 - of every file
        common = os.path.commonpath(outside) if outside else ""
        return [file.removeprefix(root if file.startswith(root) else common) for file in files]

    def rows(self) -> list[Row]:
        """Return all images, sorted by class and name, or in the order of the list."""
        if self.is_list:
            return list(_read_rows_once(self.path, self.domain))
        folders = list_class_folders(self.path)
        return [Row(file, name, None) for name, folder in folders.items() for file in list_images(folder)]


# The steps of checking a study read the same list many times.
@cache
def _read_rows_once(path: Path, domain: str) -> tuple[Row, ...]:
    return tuple(read_list(path, domain, DOMAINS))


@cache
def count_up_to_two(place: Place) -> dict[str, int]:
    """Count the images of each class up to 2, which stands for any larger number."""
    if place.is_list:
        counts: dict[str, int] = {}
        for row in place.rows():
            counts[row.label] = min(2, counts.get(row.label, 0) + 1)
        return counts
    folders = list_class_folders(place.path)
    found = {name: len(list_images(folder, at_most=2)) for name, folder in folders.items()}
    if not any(found.values()):
        raise UserError("there is no image in its folders", where=str(place.path))
    return {name: count for name, count in found.items() if count or place.domain == "source"}


def has_subsets(place: Place) -> bool:
    """Return whether a place is a list that says which images are for testing."""
    return place.is_list and any(row.subset for row in place.rows())


def report_skipped(*places: Place | None) -> None:
    """Print which files are not taken for images, and which classes have none."""
    for place in places:
        if place is None or place.is_list:
            continue
        folders = list_class_folders(place.path)
        others = sum((count_other_files(folder) for folder in folders.values()), start=Counter())
        if others:
            kinds = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
            print(f"{place.path}: not taken for images by their names: {kinds}", file=sys.stderr)
        if empty := [name for name, folder in folders.items() if not list_images(folder, at_most=1)]:
            print(f"{place.path}: no image of {join_quoted(empty)}", file=sys.stderr)


def join_quoted(names: list[str]) -> str:
    """Join the first few names, quoted, as an error shows them."""
    return join_names([repr(name) for name in names], SHOWN)
