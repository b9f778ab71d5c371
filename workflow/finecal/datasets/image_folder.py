"""Your own images: folders with a folder for each class, or lists of files and labels.

The classes Y are those of the source. The target may have only some of them: the others are the absent classes.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from finecal.config import Fraction, Listed, Seed
from finecal.datasets._image_files import class_folders, class_name, images_in, others_in
from finecal.datasets._image_lists import LISTS, Row, read_list
from finecal.datasets._stored import Stored
from finecal.errors import UserError, closest

if TYPE_CHECKING:
    from finecal.listing import Listing

DOMAINS = ("source", "target")
_PLACE = "a folder with a folder of images for each class, or a list (.csv, .parquet) with the columns file and label"
SHOWN = 10


class Options(Stored):
    """Options of the data set; paths are relative to the working directory."""

    source: str | None = Field(
        None, description=f"Images of the source domain: {_PLACE}. Without it the pretrained model is taken as it is."
    )
    target: str = Field(description=f"Images of the target domain: {_PLACE}.")
    source_test: str | None = Field(
        None, description="Test images of the source domain; by default a part of `source`, see `test_fraction`."
    )
    target_test: str | None = Field(
        None,
        description="Test images of the target domain; by default a part of `target`. They may be of absent classes.",
    )
    test_fraction: Fraction = Field(
        0.3, description="Part of each class's images kept for testing, where no test images are given."
    )
    classes: str | Listed[str] | None = Field(
        None,
        description="All classes, in the order of the pretrained model's head: a list, or a text file with a name per "
        "line; by default those of `source`, by alphabet.",
    )
    seed: Seed = Field(0, description="Seed of the train/test division.")


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

    def rows(self) -> list[Row]:
        """All images, sorted by class and name, or in the list's order."""
        if self.is_list:
            return list(_known_rows(self.path, self.domain))
        folders = class_folders(self.path)
        return [Row(file, name, None) for name, folder in folders.items() for file in images_in(folder)]


def domains(options: Options) -> tuple[str, ...]:
    return DOMAINS


def without_images(options: Options) -> tuple[str, ...]:
    """The domains that have no images: of those the model is taken as it is."""
    return () if options.source is not None else ("source",)


def classes(options: Options) -> tuple[str, ...]:
    if options.classes is None:
        return tuple(sorted(_labels(_places("source", options)[0])))
    return _given_classes(options)


def official_tasks(options: Options) -> tuple[str, ...]:
    return ()


def sampled(domain: str, options: Options) -> tuple[frozenset[str], frozenset[str]]:
    """The classes that have training samples in a domain, and those that have test samples."""
    place, test = _places(domain, options)
    found = _labels(place)
    if test is not None:
        return frozenset(found), frozenset(_labels(test))
    if place.is_list and (known := [row for row in place.rows() if row.subset]):
        return tuple(frozenset(row.label for row in known if row.subset == s) for s in ("train", "test"))  # type: ignore[return-value]
    return frozenset(found), frozenset(found)


def check(options: Options) -> None:
    """Whether the folders are there and their classes fit together, as far as it shows without reading the images.

    Raises
    ------
    UserError
        Its `where` is the option.
    """
    if options.source is None and options.classes is None:
        raise UserError(
            "without `source`, the classes must be given", where="classes",
            why="They are what the rows of the pretrained model's head stand for",
        )  # fmt: skip
    if options.source is None and options.source_test is not None:
        raise UserError("`source_test` belongs to `source`", where="source_test")
    total = frozenset(_named("classes", lambda: classes(options)))
    if len(total) < 2:
        raise UserError(f"there is only the class {min(total)!r}", where="source", why="At least two are needed")
    for domain in DOMAINS:
        if domain not in without_images(options):
            _check_domain(domain, options, total)


def _check_domain(domain: str, options: Options, total: frozenset[str]) -> None:
    place, test = _places(domain, options)
    keys = {domain: place, **({f"{domain}_test": test} if test is not None else {})}
    for key, one in keys.items():
        found = _named(key, lambda one=one: _labels(one))
        _check_names(key, frozenset(found), total, options)
        single = sorted(name for name, count in found.items() if count < 2)
        if test is None and single and not _says_subset(one):
            raise UserError(
                f"{_listed(single)} {'has' if len(single) == 1 else 'have'} a single image", where=key,
                why="A part of each class is kept for testing, so a class needs two at least",
                hint=f"Or give the test images a place of their own, `{domain}_test`",
            )  # fmt: skip
    if test is not None:
        if _says_subset(place) or _says_subset(test):
            raise UserError("the list says itself which images are for testing", where=f"{domain}_test")
        if place.path.resolve() == test.path.resolve():
            raise UserError("training and test images are the same", where=f"{domain}_test")
    of_train, of_test = sampled(domain, options)
    needed = total if domain == "source" else frozenset()
    for kind, present in (("training", of_train), ("test", of_test)):
        if missing := sorted(needed - present):
            raise UserError(
                f"there is no {kind} image of {_listed(missing)}", where=domain,
                why="The source has all classes",
            )  # fmt: skip
        if not present:
            raise UserError(f"there is no {kind} image", where=domain)


def _check_names(key: str, found: frozenset[str], total: frozenset[str], options: Options) -> None:
    strangers = sorted(found - total)
    if not strangers:
        return
    what = "the source's classes" if options.classes is None else "`classes`"
    near = [f"{name!r} (closest: {closest(name, total)[0]!r})" for name in strangers[:SHOWN]]
    more = f" and {len(strangers) - SHOWN} more" if len(strangers) > SHOWN else ""
    split = {"train", "test"} <= found or {"train", "val"} <= found
    raise UserError(
        f"{', '.join(near)}{more} {'is' if len(strangers) == 1 else 'are'} not among {what}", where=key,
        why="Classes are matched by name",
        hint=f"If {sorted(found)} are no classes, name the folders in it: `{key}: …/train`, `{key}_test: …/test`"
        if split
        else "",
    )  # fmt: skip


def decides(domain: str, options: Options) -> dict[str, Any]:
    """The options that concern a domain; how many files it has, and a hash of their names, sizes and times."""
    other = next(name for name in DOMAINS if name != domain)
    own = options.model_dump(mode="json", exclude={other, f"{other}_test", "classes"})
    digest, count = hashlib.sha256(), 0
    for place in _places(domain, options):
        if place is None:
            continue
        if place.is_list:
            digest.update(hashlib.sha256(place.path.read_bytes()).digest())
        for row in place.rows():
            try:
                found = row.file.stat()
                state = f"{found.st_size}\0{found.st_mtime_ns}"
            except OSError:  # it will be named when it is decoded
                state = "missing"
            digest.update(f"{row.file.relative_to(place.root)}\0{state}\n".encode())
            count += 1
    return {**own, "classes": list(classes(options)), "files": count, "names_sizes_times": digest.hexdigest()[:16]}


def prepare(domain: str, options: Options, files: object = None) -> Listing:
    """The files of a domain, with their labels; nothing is decoded yet."""
    import numpy as np

    from finecal.images import stratified_test
    from finecal.listing import Listing
    from finecal.seeds import generator

    check(options)
    names = classes(options)
    number = {name: i for i, name in enumerate(names)}
    place, test_place = _places(domain, options)
    _tell_left_out(place, test_place)
    rows = place.rows()
    training = len(rows)
    rows += test_place.rows() if test_place is not None else []
    labels = np.array([number[row.label] for row in rows], np.int32)
    if test_place is not None:
        test = np.arange(len(rows)) >= training
    elif _says_subset(place):
        test = np.array([row.subset == "test" for row in rows])
    else:
        test = stratified_test(labels, options.test_fraction, generator("image_folder", domain, "test", options.seed))
    paths = tuple(row.file for row in rows)
    most, count = Counter(paths).most_common(1)[0]
    if count > 1:
        raise UserError(f"{str(most)!r} is a training and a test image", where=str(place.path))
    roots = [one.root for one in (place, test_place) if one is not None]
    root = Path(os.path.commonpath(roots))
    return Listing(
        paths, labels, test, names, complete=domain == "source", root=root, size=options.size, fit=options.fit
    )


def _places(domain: str, options: Options) -> tuple[Place, Place | None]:
    train, test = getattr(options, domain), getattr(options, f"{domain}_test")
    return Place.of(train, domain), None if test is None else Place.of(test, domain)


# A study is checked in many steps, which ask for the same again and again.
@cache
def _known_rows(path: Path, domain: str) -> tuple[Row, ...]:
    return tuple(read_list(path, domain, DOMAINS))


@cache
def _labels(place: Place) -> dict[str, int]:
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


def _says_subset(place: Place) -> bool:
    return place.is_list and any(row.subset for row in place.rows())


def _given_classes(options: Options) -> tuple[str, ...]:
    given = options.classes or ()
    if isinstance(given, str):
        try:
            given = tuple(line.strip() for line in Path(given).read_text("utf-8-sig").splitlines() if line.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise UserError("this file cannot be read", where=str(options.classes)) from error
    names = tuple(map(class_name, given))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise UserError(f"{_listed(twice)} stands there twice" if twice else "there is no class", where="classes")
    return names


def _named(key: str, look: Any) -> Any:
    """The result; an error about a path names the option, too."""
    try:
        return look()
    except UserError as error:
        where = key if error.where in ("", key) else f"{key} ({error.where})"
        raise UserError(error.what, where=where, why=error.why, hint=error.hint) from error


def _tell_left_out(*places: Place | None) -> None:
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
            print(f"{place.path}: no image of {_listed(empty)}", file=sys.stderr)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
