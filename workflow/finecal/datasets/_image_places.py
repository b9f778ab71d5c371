"""Locate the images of a domain: a folder with a folder for each class, or a list of files and labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from finecal.datasets._image_files import (
    count_clutter,
    count_images,
    count_other_files,
    list_class_folders,
    list_images,
)
from finecal.datasets._image_lists import LISTS, Row, read_list
from finecal.errors import UserError, join_names
from finecal.io.outside import is_count

DOMAINS = ("source", "target")
SHOWN = 10


@dataclass(frozen=True)
class Place:
    """A folder or a list with images of a domain.

    Attributes
    ----------
    path
        Absolute.
    key
        The option that gives it: a domain, or `{domain}_test`. Errors name it.
    list_root
        What names in a list are relative to; None is the list's own folder.
    numbered
        The classes that whole numbers in a list stand for, in the order of the numbers; empty if numbers are names.
    """

    path: Path
    key: str
    list_root: Path | None = None
    numbered: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        return self.key.removesuffix("_test")

    @property
    def is_list(self) -> bool:
        return self.path.suffix.lower() in LISTS and not self.path.is_dir()

    @property
    def root(self) -> Path:
        """The folder that the names of the files are relative to."""
        return (self.list_root or self.path.parent) if self.is_list else self.path

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
        with self.named():
            if not self.is_list:
                folders = list_class_folders(self.path)
                return [Row(file, name, None) for name, folder in folders.items() for file in list_images(folder)]
            rows = self.listed_rows()
            return [self._with_name(row) for row in rows] if self.numbered and has_whole_numbers(rows) else list(rows)

    def listed_rows(self) -> Sequence[Row]:
        """Return the rows of a list with the labels as they stand there."""
        return _read_rows_once(self.path, self.domain, self.root)

    def _with_name(self, row: Row) -> Row:
        number = int(row.label)
        if number >= len(self.numbered):
            raise UserError(
                f"the label {number} is out of range", where=f"{self.path}: row {row.number}",
                why=f"There are names of 0 to {len(self.numbered) - 1}",
            )  # fmt: skip
        return replace(row, label=self.numbered[number])

    @contextmanager
    def named(self) -> Iterator[None]:
        """Put the option before what an error of the block is about."""
        try:
            yield
        except UserError as error:
            raise UserError(error.what, where=f"{self.key} ({error.where})", why=error.why, hint=error.hint) from error


# The steps of checking a study read the same list many times.
@cache
def _read_rows_once(path: Path, domain: str, root: Path) -> tuple[Row, ...]:
    return tuple(read_list(path, domain, DOMAINS, root))


@cache
def count_up_to_two(place: Place) -> dict[str, int]:
    """Count the images of each class up to 2, which stands for any larger number; a class may have 0 in a folder."""
    if place.is_list:
        counts: dict[str, int] = {}
        for row in place.rows():
            counts[row.label] = min(2, counts.get(row.label, 0) + 1)
        return counts
    with place.named():
        folders = list_class_folders(place.path)
        found = {name: len(list_images(folder, at_most=2)) for name, folder in folders.items()}
        if not any(found.values()):
            raise UserError("there is no image in its folders", where=str(place.path))
        return found


def count_images_of(place: Place) -> Counter[str]:
    """Count the images of each class."""
    if place.is_list:
        return Counter(row.label for row in place.rows())
    with place.named():
        return Counter({name: count_images(folder) for name, folder in list_class_folders(place.path).items()})


def classes_in(place: Place) -> frozenset[str]:
    """Return the classes that have images."""
    return frozenset(name for name, count in count_up_to_two(place).items() if count)


def has_subsets(place: Place) -> bool:
    """Return whether a place is a list that says which images are for testing."""
    return place.is_list and any(row.subset for row in place.rows())


def has_whole_numbers(rows: Sequence[Row]) -> bool:
    """Return whether all labels are whole numbers as computers write them: without leading zeros."""
    return all(is_count(row.label) and str(int(row.label)) == row.label for row in rows)


def describe_skipped(place: Place) -> list[str]:
    """Say which files are not taken for images, what is passed over for its name, and which classes have no image."""
    if place.is_list:
        return []
    with place.named():
        folders = list_class_folders(place.path)
        others = sum((count_other_files(folder) for folder in folders.values()), start=Counter())
        clutter = count_clutter(place.path)
        empty = [name for name, folder in folders.items() if not list_images(folder, at_most=1)]
    lines = [f"not taken for images by their names: {_listed(others)}"] if others else []
    lines += [f"passed over: {join_names(_described(clutter), SHOWN)}"] if clutter else []
    lines += [f"no image of {join_quoted(empty)}"] if empty else []
    return [f"{place.path}: {line}" for line in lines]


def _listed(counts: Counter[str]) -> str:
    return join_names([f"{count} {what}" for what, count in counts.most_common()], SHOWN)


def _described(clutter: Counter[tuple[str, str]]) -> list[str]:
    """Say of each kind of clutter how much there is, and its name or the first of several."""
    kinds: dict[str, Counter[str]] = {}
    for (what, name), count in clutter.items():
        kinds.setdefault(what, Counter())[name] = count
    return [
        f"{names.total():,} {next(iter(names))} ({what})"
        if len(names) == 1
        else f"{names.total():,} {what} ({min(names)}, …)"
        for what, names in kinds.items()
    ]


def join_quoted(names: list[str]) -> str:
    """Join the first few names, quoted, as an error shows them."""
    return join_names([repr(name) for name in names], SHOWN)
