"""The classes of one's own images: their names, and the order in which a model's head may have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from finecal.datasets._image_files import class_name
from finecal.datasets._image_places import Place, classes_in, count_up_to_two, has_whole_numbers, join_quoted
from finecal.errors import UserError
from finecal.io.outside import read_lines


def read_classes(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names that the option `classes` gives: a list, or a text file with a name per line."""
    names = [given] if isinstance(given, str) else given
    if isinstance(given, str):
        names = read_lines(given, where=f"classes ({given})")
    found = tuple(map(class_name, names))
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice or not found:
        raise UserError(f"{join_quoted(twice)} is given twice" if twice else "there is no class", where="classes")
    return found


def default_order(place: Place) -> tuple[str, ...]:
    """Return the classes of a place: in a list of whole numbers by number, else as text."""
    if place.is_list and place.numbered and has_whole_numbers(place.listed_rows()):
        there = classes_in(place)
        return tuple(name for name in place.numbered if name in there)
    if place.is_list and has_whole_numbers(place.rows()):
        return tuple(sorted(classes_in(place), key=int))
    return tuple(sorted(classes_in(place) if place.is_list else count_up_to_two(place)))


def other_order(place: Place) -> tuple[str, ...] | None:
    """Return the order in which timm's loaders number the classes of a place; None if it is `default_order`.

    torchvision's ImageFolder sorts names as text, timm's ImageDataset sorts numbers in them by their values and does
    not look at capitals. A list of whole numbers says itself which row is which.
    """
    ours = default_order(place)
    if place.is_list and has_whole_numbers(place.listed_rows()):
        return None
    theirs = in_natural_order(ours)
    return theirs if theirs != ours else None


def in_natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names as timm does, by the values of the numbers in them; a test compares the two.

    >>> in_natural_order(["10", "b2", "B10", "9"])
    ('9', '10', 'b2', 'B10')
    """

    def key(name: str) -> list[str | int]:
        return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", name.lower()))]

    return tuple(sorted(names, key=key))
