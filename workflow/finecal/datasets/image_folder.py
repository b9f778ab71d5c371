"""Your own images: folders with a folder for each class, or lists of files and labels.

The classes Y are those of the source. The target may have only some of them; the others are the absent classes.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from finecal.config import Fraction, Listed, Seed
from finecal.datasets._image_files import class_name
from finecal.datasets._image_places import (
    DOMAINS,
    SHOWN,
    Place,
    count_up_to_two,
    has_subsets,
    join_quoted,
    report_skipped,
)
from finecal.datasets._stored import Stored
from finecal.errors import UserError, closest
from finecal.io.contents import content_hashes

if TYPE_CHECKING:
    from finecal.data.image_files import ImageFiles

_PLACE = "a folder with a folder of images for each class, or a list (.csv, .parquet) with the columns file and label"


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


def domains(options: Options) -> tuple[str, ...]:
    return DOMAINS


def without_images(options: Options) -> tuple[str, ...]:
    return () if options.source is not None else ("source",)


def classes(options: Options) -> tuple[str, ...]:
    if options.classes is None:
        return tuple(sorted(count_up_to_two(_places("source", options)[0])))
    return _read_classes(options)


def sampled_classes(domain: str, options: Options) -> tuple[frozenset[str], frozenset[str]]:
    """Return the classes that have training samples in a domain, and those that have test samples."""
    place, test = _places(domain, options)
    found = count_up_to_two(place)
    if test is not None:
        return frozenset(found), frozenset(count_up_to_two(test))
    if place.is_list and (known := [row for row in place.rows() if row.subset]):
        return tuple(frozenset(row.label for row in known if row.subset == s) for s in ("train", "test"))  # type: ignore[return-value]
    return frozenset(found), frozenset(found)


def check(options: Options) -> None:
    """Check that the folders exist and their classes fit together, as far as possible without reading the images.

    Raises
    ------
    UserError
        With the option as `where`.
    """
    if options.source is None and options.classes is None:
        raise UserError(
            "without `source`, the classes must be given", where="classes",
            why="They are the rows of the pretrained model's head",
        )  # fmt: skip
    if options.source is None and options.source_test is not None:
        raise UserError("`source_test` belongs to `source`", where="source_test")
    total = frozenset(_with_option("classes", lambda: classes(options)))
    if len(total) < 2:
        raise UserError(f"there is only the class {min(total)!r}", where="source", why="At least two are needed")
    for domain in DOMAINS:
        if domain not in without_images(options):
            _check_domain(domain, options, total)


def _check_domain(domain: str, options: Options, total: frozenset[str]) -> None:
    place, test = _places(domain, options)
    keys = {domain: place, **({f"{domain}_test": test} if test is not None else {})}
    for key, one in keys.items():
        found = _with_option(key, lambda one=one: count_up_to_two(one))
        _check_names(key, frozenset(found), total, options)
        single = sorted(name for name, count in found.items() if count < 2)
        if test is None and single and not has_subsets(one):
            raise UserError(
                f"{join_quoted(single)} {'has' if len(single) == 1 else 'have'} a single image", where=key,
                why="A part of each class is kept for testing, so each class needs at least two",
                hint=f"Or give the test images a place of their own, `{domain}_test`",
            )  # fmt: skip
    if test is not None:
        if has_subsets(place) or has_subsets(test):
            raise UserError("the list already says which images are for testing", where=f"{domain}_test")
        if place.path.resolve() == test.path.resolve():
            raise UserError("training and test images are the same", where=f"{domain}_test")
    of_train, of_test = sampled_classes(domain, options)
    needed = total if domain == "source" else frozenset()
    for kind, present in (("training", of_train), ("test", of_test)):
        if missing := sorted(needed - present):
            raise UserError(
                f"there is no {kind} image of {join_quoted(missing)}", where=domain,
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


def decisive_options(domain: str, options: Options) -> dict[str, Any]:
    """Return the options that concern a domain, its classes, and the number and a hash of its files.

    The hash is over each sample's subset if it is given, class, name relative to the folder or list, and contents, in
    the order of the samples. It does not depend on where the folder or list is, nor on times.
    """
    places = {name for one in DOMAINS for name in (one, f"{one}_test")}
    own = options.model_dump(mode="json", exclude={*places, "classes"})
    digest, count = hashlib.sha256(), 0
    train, test = _places(domain, options)
    for place, subset in ((train, "train" if test is not None else ""), (test, "test")):
        if place is None:
            continue
        rows = place.rows()
        hashes = content_hashes([row.file for row in rows], f"{place.path} ({domain})")
        for row, name, hashed in zip(rows, place.names(rows), hashes, strict=True):
            # Decoding names the files that cannot be read.
            described = (row.subset or subset, row.label, name, hashed or "unreadable")
            digest.update(os.fsencode("\0".join(described) + "\0"))
        count += len(rows)
    return {**own, "classes": list(classes(options)), "files": count, "contents": digest.hexdigest()}


def prepare(domain: str, options: Options, files: object = None) -> ImageFiles:
    """Return the files of a domain with their labels; nothing is decoded yet."""
    import numpy as np

    from finecal.data.divisions import stratified_test
    from finecal.data.image_files import ImageFiles
    from finecal.seeds import generator

    check(options)
    names = classes(options)
    number = {name: i for i, name in enumerate(names)}
    place, test_place = _places(domain, options)
    report_skipped(place, test_place)
    rows = place.rows()
    training = len(rows)
    rows += test_place.rows() if test_place is not None else []
    labels = np.array([number[row.label] for row in rows], np.int32)
    if test_place is not None:
        test = np.arange(len(rows)) >= training
    elif has_subsets(place):
        test = np.array([row.subset == "test" for row in rows])
    else:
        test = stratified_test(labels, options.test_fraction, generator("image_folder", domain, "test", options.seed))
    paths = tuple(row.file for row in rows)
    most, count = Counter(paths).most_common(1)[0]
    if count > 1:
        raise UserError(f"{str(most)!r} is a training and a test image", where=str(place.path))
    roots = [one.root for one in (place, test_place) if one is not None]
    root = Path(os.path.commonpath(roots))
    return ImageFiles(
        paths, labels, test, names, complete=domain == "source", root=root, size=options.size, fit=options.fit
    )


def _places(domain: str, options: Options) -> tuple[Place, Place | None]:
    train, test = getattr(options, domain), getattr(options, f"{domain}_test")
    return Place.of(train, domain), None if test is None else Place.of(test, domain)


def _read_classes(options: Options) -> tuple[str, ...]:
    given = options.classes or ()
    if isinstance(given, str):
        try:
            given = tuple(line.strip() for line in Path(given).read_text("utf-8-sig").splitlines() if line.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise UserError("this file cannot be read", where=str(options.classes)) from error
    names = tuple(map(class_name, given))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise UserError(f"{join_quoted(twice)} is given twice" if twice else "there is no class", where="classes")
    return names


def _with_option(key: str, look: Any) -> Any:
    """Return the result of `look`; add the option to an error about a path."""
    try:
        return look()
    except UserError as error:
        where = key if error.where in ("", key) else f"{key} ({error.where})"
        raise UserError(error.what, where=where, why=error.why, hint=error.hint) from error
