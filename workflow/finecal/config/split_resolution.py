"""Resolve a split: the classes that it means, from its options and the names of the classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from finecal.config import (
    ClassesSplit,
    ClusteredSplit,
    DrawnSplit,
    OfficialSplit,
    PresentSplit,
    RandomSplit,
    Study,
)
from finecal.config.official_splits import official_source
from finecal.config.types import resolved_options
from finecal.errors import UserError, counted, unknown
from finecal.io.outside import is_count

_RANGE = re.compile(r"\d+\s*(?:-|–|:|\.\.+)\s*\d+")

AnySplit = RandomSplit | ClusteredSplit | ClassesSplit | PresentSplit | OfficialSplit


def split_size(split: AnySplit, classes: tuple[str, ...], where: str) -> int:
    """Return the number of fine-tuning classes of a split; raise UserError if S would be empty or all of Y."""
    total = len(classes)
    if isinstance(split, ClassesSplit):
        size = len(class_numbers(split.fine_tuning, classes, where))
    elif isinstance(split, DrawnSplit):
        size = split.count if split.count is not None else round((split.fraction or 0) * total)
    else:
        return total
    check_size(size, total, where)
    return size


def draw_order(dataset: str, seed: int, total: int) -> list[int]:
    """Return the numbers of all classes in the order in which a drawn split takes them for S."""
    from finecal.seeds import generator

    return [int(number) for number in generator("split", dataset, seed).permutation(total)]


def known_classes(split: AnySplit, dataset: str, classes: tuple[str, ...], where: str) -> list[int] | None:
    """Return the numbers of the classes in S, sorted, of a split that names or draws them; None for other kinds."""
    if isinstance(split, ClassesSplit):
        return class_numbers(split.fine_tuning, classes, where)
    if isinstance(split, RandomSplit):
        return sorted(draw_order(dataset, split.seed, len(classes))[: split_size(split, classes, where)])
    return None


def check_size(size: int, total: int, where: str) -> None:
    """Raise UserError unless there is a class in S and one in U."""
    if not 0 < size < total:
        what = "more classes than there are" if size > total else "all classes" if size == total else "no class"
        raise UserError(
            f"this split takes {what} for fine-tuning ({size} of {total})", where=where,
            why=f"S needs 1 to {counted(total - 1, 'class')}, so that both S and U have at least one",
        )  # fmt: skip


def class_numbers(given: tuple[str | int, ...], classes: tuple[str, ...], where: str) -> list[int]:
    """Return the sorted numbers of classes given by name or by number.

    A text is looked up as a name. A number counts from 0 in the data set's order of classes; if there is no such place,
    it may be a name.

    Raises
    ------
    UserError
        If there is no such class, one is given twice, or a number is a place and the name of another class.
    """
    places = {name: place for place, name in enumerate(classes)}
    numbers = []
    for value in given:
        if isinstance(value, int):
            numbers.append(_place(value, places, where))
            continue
        name = unicodedata.normalize("NFC", value)
        if name not in places:
            raise _unknown_class(value, classes, where)
        numbers.append(places[name])
    twice = sorted({n for n in numbers if numbers.count(n) > 1})
    if twice:
        raise UserError(f"class {classes[twice[0]]!r} is given more than once", where=where)
    return sorted(numbers)


def _unknown_class(name: str, classes: tuple[str, ...], where: str) -> UserError:
    error = unknown("class", name, classes, where=where)
    if _RANGE.fullmatch(name.strip()):
        hint = "Ranges are not read: give each class by its name or its number"
        return UserError(error.what, where=where, why=error.why, hint=hint)
    return error


def _place(number: int, places: Mapping[str, int], where: str) -> int:
    """Return the place that a number means, unless it is also the name of another class: `3`, or `03`."""
    named = [name for name in places if is_count(name) and int(name) == number]
    others = [name for name in named if places[name] != number]
    if not 0 <= number < len(places):
        if len(named) == 1:
            return places[named[0]]
        raise UserError(
            f"class number {number} is out of range", where=where, why=f"0 to {len(places) - 1} are allowed"
        )
    if others:
        at_place = next(name for name, place in places.items() if place == number)
        raise UserError(
            f"{number} can mean two classes", where=where,
            why=f"The class at place {number}, counted from 0, is {at_place!r}, and another one is called "
            f"{others[0]!r}",
            hint=f"Give classes that are called by numbers by name, in quotes: {others[0]!r} or {at_place!r}",
        )  # fmt: skip
    return number


def resolved_split(study: Study, dataset: str, split: AnySplit) -> dict[str, Any]:
    """Return the options of a split for a data set as plain types, with the source, backbone or target that it uses."""
    options = resolved_options(split)
    if isinstance(split, ClusteredSplit):
        options["source"], options["backbone"] = clustered_with(study, dataset, split, "splits")
    elif isinstance(split, OfficialSplit):
        options["source"] = official_source(study, dataset, split, "splits")
    elif isinstance(split, PresentSplit):
        options["target"] = present_in(study, dataset, split, "splits")
    return options


def clustered_with(study: Study, dataset: str, split: ClusteredSplit, where: str) -> tuple[str, str]:
    """Return source domain and backbone of the pretrained model whose features decide a clustered split.

    Raises
    ------
    UserError
        If the study has no such model, or has several and the split does not say which.
    """
    sources = list(dict.fromkeys(task.partition("-")[0] for task in study.tasks[dataset]))
    return (
        _one_of("source", split.source, sources, where),
        _one_of("backbone", split.backbone, list(study.backbones), where),
    )


def present_in(study: Study, dataset: str, split: PresentSplit, where: str) -> str:
    """Return the target domain whose classes are S; raise UserError if there are several and the split names none."""
    targets = list(dict.fromkeys(task.partition("-")[2] for task in study.tasks[dataset]))
    return _one_of("target", split.target, targets, where)


def _one_of(key: str, given: str | None, known: list[str], where: str) -> str:
    if given is None and len(known) > 1:
        raise UserError("this key is missing", where=f"{where}.{key}", why=f"The study has {', '.join(known)}")
    if given is not None and given not in known:
        raise unknown(key, given, known, where=where)
    return given or known[0]
