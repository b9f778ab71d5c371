"""Read the lists that publishers of data sets give: a line `folder/class/file label` for each sample."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from finecal.data.divisions import draw_of_each
from finecal.errors import UserError, counted
from finecal.io.outside import is_count, read_text

Entry = tuple[str, int]  # path in the archive, class number


def read_list(file: Path) -> list[Entry]:
    """Read path and class number of every line.

    Raises
    ------
    UserError
        If a line is not a path and a number, or the path leads out of the folder.
    """
    entries = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        path = PurePosixPath(name)
        if not name or not is_count(label) or path.is_absolute() or ".." in path.parts:
            raise UserError(f"{line!r} is not a path and a class number", where=f"{file}:{number}")
        entries.append((name, int(label)))
    if not entries:
        raise UserError("this list is empty", where=str(file))
    return entries


def name_classes_by_folder(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the names of the classes, which are those of the folders of their files.

    >>> name_classes_by_folder([("sketch/cat/1.png", 1), ("sketch/bee/1.png", 0), ("real/cat/3.png", 1)])
    ('bee', 'cat')

    Raises
    ------
    UserError
        If the files of a class are in folders with different names, two classes have the same name, or a class number
        has no file.
    """
    names: dict[int, str] = {}
    for path, label in entries:
        name = PurePosixPath(path).parent.name
        if names.setdefault(label, name) != name:
            raise UserError(f"class {label} is called {names[label]!r} and {name!r}", where=path)
    if sorted(names) != list(range(len(names))) or len(set(names.values())) < len(names):
        raise UserError(
            f"the lists have {counted(len(names), 'class')}, numbers up to {max(names, default=0)} "
            f"and {counted(len(set(names.values())), 'name')}",
            why="The numbers must go from 0 without gaps, and every class have its own name",
        )  # fmt: skip
    return tuple(names[label] for label in sorted(names))


def redraw_incomplete_classes(
    labels: np.ndarray, test: np.ndarray, names: tuple[str, ...], fraction: float, random: np.random.Generator
) -> np.ndarray:
    """Return a (N,) bool mask of test samples with which every class has training and test samples.

    A class that has both in the mask `test` keeps them; for another class, this fraction of its samples is drawn for
    testing. A class with fewer than two samples is kept as it is; `check_samples` reports it.
    """
    result = test.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if test[members].any() and not test[members].all():
            continue
        if len(members) >= 2:
            drawn = draw_of_each(labels[members], fraction, random)
            drawn[0] = drawn[0] and not drawn.all()  # at least one is left for training
            result[members] = drawn
            kind = "training" if test[members].all() else "test"
            there = counted(len(members), "other sample")
            print(f"{names[label]}: no {kind} sample in the lists, {there} divided anew")
    return result
