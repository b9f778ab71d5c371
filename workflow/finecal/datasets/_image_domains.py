"""The two domains of one's own images: where each is, which classes it has, and what is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Protocol

from finecal.datasets._image_classes import read_classes
from finecal.datasets._image_files import class_name
from finecal.datasets._image_places import (
    DOMAINS,
    SHOWN,
    Place,
    classes_in,
    count_up_to_two,
    has_subsets,
    has_whole_numbers,
    join_quoted,
)
from finecal.errors import UserError, closest


class Given(Protocol):
    """What is read of `finecal.datasets.image_folder.Options`, besides the options called like the domains."""

    @property
    def classes(self) -> str | tuple[str, ...] | None: ...
    @property
    def list_root(self) -> str | None: ...


def places_of(domain: str, options: Given) -> tuple[Place, Place | None]:
    """Return where the images of a domain are, and its test images if they have a place of their own."""
    found = _all_places(options)
    if options.classes is None:
        numbered = _names_by_folder(tuple(found.values()))
    else:
        names = read_classes(options.classes)
        numbered = () if any(name.isdecimal() for name in names) else names
    train, test = (found.get(key) for key in (domain, f"{domain}_test"))
    assert train is not None
    return replace(train, numbered=numbered), None if test is None else replace(test, numbered=numbered)


def _all_places(options: Given) -> dict[str, Place]:
    root = None if options.list_root is None else Path(options.list_root).absolute()
    keys = [key for domain in DOMAINS for key in (domain, f"{domain}_test")]
    given = {key: path for key in keys if (path := getattr(options, key)) is not None}
    return {key: Place(Path(path).absolute(), key, root) for key, path in given.items()}


@cache
def _names_by_folder(places: tuple[Place, ...]) -> tuple[str, ...]:
    """Return the names of the classes 0, 1, … of lists `path number`: those of the folders of their files.

    Empty if the lists, all together, have several folders for a number, or several numbers for a folder.
    """
    names: dict[str, str] = {}
    for place in places:
        if place.path.suffix.lower() == ".txt" and place.is_list:
            with place.named():
                rows = place.listed_rows()
            if not has_whole_numbers(rows):
                return ()
            folders = {(row.label, class_name(row.file.parent.name)) for row in rows}
            if any(names.setdefault(number, folder) != folder for number, folder in folders):
                return ()
    found = [names.get(str(number), "") for number in range(len(names))]
    return tuple(found) if all(found) and len({*found}) == len(found) else ()


def find_sampled(domain: str, options: Given) -> tuple[frozenset[str], frozenset[str]]:
    """Return the classes that have training samples in a domain, and those that have test samples."""
    place, test = places_of(domain, options)
    found = classes_in(place)
    if test is not None:
        return found, classes_in(test)
    if place.is_list and (known := [row for row in place.rows() if row.subset]):
        return tuple(frozenset(row.label for row in known if row.subset == s) for s in ("train", "test"))  # type: ignore[return-value]
    return found, found


def check_domain(domain: str, options: Given, total: frozenset[str]) -> None:
    """Check that the classes of a domain are among all, and that each has the images that it needs."""
    place, test = places_of(domain, options)
    for one in (place, test):
        if one is not None:
            _check_names(one, total, options)
    if test is not None:
        if has_subsets(place) or has_subsets(test):
            raise UserError("the list already says which images are for testing", where=test.key)
        if place.path.resolve() == test.path.resolve():
            raise UserError("training and test images are the same", where=test.key)
    else:
        _check_counts(place)
    of_train, of_test = find_sampled(domain, options)
    needed = total if domain == "source" else frozenset()
    for kind, present in (("training", of_train), ("test", of_test)):
        if missing := sorted(needed - present):
            raise UserError(
                f"there is no {kind} image of {join_quoted(missing)}", where=domain,
                why="The source has all classes",
            )  # fmt: skip
        if not present:
            raise UserError(f"there is no {kind} image", where=domain)


def _check_counts(place: Place) -> None:
    """Check that a part of each class can be kept for testing."""
    found = count_up_to_two(place)
    if place.domain == "source" and (empty := sorted(name for name, count in found.items() if not count)):
        raise UserError(
            f"{join_quoted(empty)} {'has' if len(empty) == 1 else 'have'} no image", where=place.key,
            why="The source has all classes, and the folder of this one is empty or has other files",
        )  # fmt: skip
    single = sorted(name for name, count in found.items() if count == 1)
    if single and not has_subsets(place):
        raise UserError(
            f"{join_quoted(single)} {'has' if len(single) == 1 else 'have'} a single image", where=place.key,
            why="A part of each class is kept for testing, so each class needs at least two",
            hint=f"Or give the test images a place of their own, `{place.domain}_test`",
        )  # fmt: skip


def _check_names(place: Place, total: frozenset[str], options: Given) -> None:
    # An empty folder is compared, too: its name may be misspelt.
    strangers = sorted(count_up_to_two(place).keys() - total)
    if not strangers:
        return
    what = "the source's classes" if options.classes is None else "`classes`"
    near = [f"{name!r} (closest: {closest(name, total)[0]!r})" for name in strangers[:SHOWN]]
    more = f" and {len(strangers) - SHOWN} more" if len(strangers) > SHOWN else ""
    numbers = options.classes is None and all(name.replace(".", "", 1).isdecimal() for name in total)
    raise UserError(
        f"{', '.join(near)}{more} {'is' if len(strangers) == 1 else 'are'} not among {what}", where=place.key,
        why="Classes are matched by name",
        hint="The source calls its classes by numbers: `classes` says which names 0, 1, … stand for" if numbers else "",
    )  # fmt: skip
