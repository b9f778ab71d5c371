"""Find files that are missing, and images that are there twice as a training and a test image or as two classes.

A file is known by what it is: by its device and inode, which links and other spellings of a path have in common, and by
its bytes. Bytes are read only of files of equal size whose subset or class differ: first the beginning and the end, and
all of them where these are equal.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from finecal.datasets._image_layout import shown
from finecal.datasets._image_lists import Row
from finecal.datasets._image_places import Place
from finecal.errors import UserError, counted, join_names
from finecal.io.contents import content_hash

SHOWN = 10
SHOWN_PAIRS = 3
END = 4096  # bytes


@dataclass(frozen=True, eq=False)  # compared by identity, which is fast
class Sample:
    """An image file of a domain with what it is used for."""

    row: Row
    test: bool
    place: Place

    @property
    def use(self) -> tuple[bool, str]:
        return self.test, self.row.label

    def __str__(self) -> str:
        number = f", row {self.row.number}" if self.row.number else ""
        return f"{shown(self.row.file)!r} ({'test' if self.test else 'training'} image of {self.row.label!r}{number})"


def check_samples(samples: Sequence[Sample]) -> str:
    """Check that all files are there, and none is there twice with different uses; say how many were compared.

    Raises
    ------
    UserError
        With the option and its path as `where`; also where a file has no byte.
    """
    found = {sample: status for sample in samples if (status := _status(sample.row.file)) is not None}
    _check_present(samples, found)
    _check_not_empty(found)
    # Some network file systems give no inodes, or one to several files.
    numbered = [sample for sample, status in found.items() if status.st_ino]
    same_file = _group(numbered, lambda sample: _inode(found[sample]))
    _refuse([group for group in same_file if _differ(group)], "are the same file")
    twice = [group for group in same_file if group[0].place.is_list]
    _refuse(twice, "are the same file, listed twice")
    alike = [group for group in _group(found, lambda sample: found[sample].st_size) if _differ(group)]
    candidates = [sample for group in alike for sample in group if found[sample].st_size]
    partly = [g for g in _group(candidates, lambda s: _ends(s.row.file, found[s].st_size)) if _differ(g)]
    equal = [group for part in partly for group in _group(part, lambda s: content_hash(s.row.file)) if _differ(group)]
    _refuse(equal, "have the same bytes")
    if not candidates:
        return f"{counted(len(samples), 'file')}, none of the size of one in another subset or class"
    return (
        f"{counted(len(samples), 'file')}, {len(candidates):,} of them compared by their bytes, since their size is "
        "that of one in another subset or class"
    )


def _status(file: os.PathLike[str]) -> os.stat_result | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - called for every file
    except (OSError, ValueError):  # ValueError: a zero byte in a list
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _inode(status: os.stat_result) -> Hashable:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _check_present(samples: Iterable[Sample], found: dict[Sample, os.stat_result]) -> None:
    missing: dict[Place, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample not in found:
            missing[sample.place].append(sample)
    for place, lost in missing.items():
        names = [f"{shown(one.row.file)!r}{_at(one)}" for one in lost]
        if len(lost) > SHOWN:
            print("\n".join(f"{place.key}: no file {name}" for name in names), file=sys.stderr)
        windows = any("\\" in name for name in names)
        raise UserError(
            f"{len(lost):,} file{'s are' if len(lost) > 1 else ' is'} missing: {join_names(names, SHOWN)}",
            where=f"{place.key} ({place.path})",
            why=f"Names in the list are relative to {place.root}" if place.is_list else "Links lead nowhere",
            hint="Folders in names are separated by /" if windows
            else "Another folder is given by `list_root`" if place.is_list else "",
        )  # fmt: skip


def _check_not_empty(found: dict[Sample, os.stat_result]) -> None:
    empty = [sample for sample, status in found.items() if not status.st_size]
    if empty:
        names = [f"{shown(one.row.file)!r}{_at(one)}" for one in empty]
        place = empty[0].place
        raise UserError(
            f"{len(empty):,} file{'s are' if len(empty) > 1 else ' is'} empty: {join_names(names, SHOWN)}",
            where=f"{place.key} ({place.path})", hint="Copy what it should be again, or remove it",
        )  # fmt: skip


def _at(sample: Sample) -> str:
    return f" (row {sample.row.number})" if sample.row.number else ""


def _group(samples: Iterable[Sample], key: Callable[[Sample], Hashable]) -> list[list[Sample]]:
    """Return the groups of two or more samples with equal keys."""
    groups: dict[Hashable, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[key(sample)].append(sample)
    return [group for group in groups.values() if len(group) > 1]


def _differ(group: Sequence[Sample]) -> bool:
    return len({sample.use for sample in group}) > 1


def _ends(file: os.PathLike[str], size: int) -> Hashable:
    """Return the size of a file and a hash of its beginning and end; a file that cannot be read is like no other."""
    try:
        with open(file, "rb", buffering=0) as opened:  # noqa: PTH123 - called for many files
            begin = opened.read(END)
            opened.seek(max(0, size - END))
            return size, hashlib.sha256(begin + opened.read(END)).digest()
    except OSError:
        return os.fspath(file)


def _refuse(groups: Sequence[Sequence[Sample]], what: str) -> None:
    if not groups:
        return
    pairs = [_pair(group) for group in groups]
    lines = [f"{one} and {other} {what}" for one, other in pairs]
    if len(lines) > SHOWN_PAIRS:
        print("\n".join(lines), file=sys.stderr)
    more = f"; and {len(lines) - SHOWN_PAIRS} more, named above" if len(lines) > SHOWN_PAIRS else ""
    places = {sample.place: None for pair in pairs for sample in pair}
    place = next((place for place in places if place.key.endswith("_test")), next(iter(places)))
    raise UserError(
        "; ".join(lines[:SHOWN_PAIRS]) + more, where=f"{place.key} ({place.path})",
        why="An image is of one class, and either for training or for testing",
        hint="Remove one of the two",
    )  # fmt: skip


def _pair(group: Sequence[Sample]) -> tuple[Sample, Sample]:
    """Return the first two that differ in their use, or the first two."""
    first = group[0]
    return first, next((sample for sample in group if sample.use != first.use), group[1])
