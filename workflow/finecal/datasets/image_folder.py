"""Your own images: folders with a folder for each class, or lists of files and labels.

The classes Y are those of the source. The target may have only some of them; the others are the absent classes.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from finecal.config import Fraction, Seed
from finecal.config.types import ClassNames
from finecal.datasets._image_classes import default_order, read_classes
from finecal.datasets._image_classes import other_order as order_of_others
from finecal.datasets._image_domains import check_domain, find_sampled, places_of
from finecal.datasets._image_doubles import Sample, check_samples
from finecal.datasets._image_layout import check_layout
from finecal.datasets._image_places import DOMAINS, count_images_of, describe_skipped, has_subsets
from finecal.datasets._stored import Stored
from finecal.errors import UserError
from finecal.io.contents import content_hashes

if TYPE_CHECKING:
    import numpy as np

    from finecal.data.image_files import ImageFiles

_PLACE = (
    "a folder with a folder of images for each class, or a list: .csv or .parquet with the columns file and label, "
    "or .txt with lines `path label`"
)


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
    classes: ClassNames | None = Field(
        None,
        description="All classes, in the order of the pretrained model's head: a list, or a text file with a name per "
        "line; by default those of `source`, sorted as text, or by number if the labels of a list are whole numbers. "
        "Whole numbers in lists count these classes from 0, unless one of them is so called.",
    )
    list_root: str | None = Field(
        None,
        description="The folder that names of files in lists are relative to; by default that of the list.",
        json_schema_extra={"neutral": None},
    )
    seed: Seed = Field(0, description="Seed of the train/test division.")


def domains(options: Options) -> tuple[str, ...]:
    return DOMAINS


def without_images(options: Options) -> tuple[str, ...]:
    return () if options.source is not None else ("source",)


def classes(options: Options) -> tuple[str, ...]:
    return default_order(places_of("source", options)[0]) if options.classes is None else read_classes(options.classes)


def other_order(options: Options) -> tuple[str, ...] | None:
    return order_of_others(places_of("source", options)[0]) if options.classes is None else None


def sampled_classes(domain: str, options: Options) -> tuple[frozenset[str], frozenset[str]]:
    return find_sampled(domain, options)


def check(options: Options) -> None:
    """Check that the folders exist and their classes fit together, as far as possible without looking at each file.

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
    used = [domain for domain in DOMAINS if domain not in without_images(options)]
    given = None if options.classes is None else frozenset(classes(options))
    for place in (place for domain in used for place in places_of(domain, options) if place is not None):
        check_layout(place, given)
    total = frozenset(classes(options))
    if len(total) < 2:
        raise UserError(f"there is only the class {min(total)!r}", where="source", why="At least two are needed")
    for domain in used:
        check_domain(domain, options, total)


def inspect_files(options: Options) -> tuple[str, ...]:
    """Look at each file: whether it is there, and there once; say what was passed over."""
    lines = []
    for domain in DOMAINS:
        if domain not in without_images(options):
            lines.append(f"{domain}: {check_samples(_divide(domain, options).samples)}")
            lines += [line for place in places_of(domain, options) if place for line in describe_skipped(place)]
    return tuple(lines)


def sample_counts(domain: str, options: Options) -> dict[str, tuple[int, int]]:
    """Return class → numbers of training and of test samples."""
    from finecal.data.divisions import count_held_out

    place, test_place = places_of(domain, options)
    if test_place is None and has_subsets(place):
        train, test = (Counter(row.label for row in place.rows() if row.subset == one) for one in ("train", "test"))
    elif test_place is not None:
        train, test = count_images_of(place), count_images_of(test_place)
    else:
        whole = count_images_of(place)
        test = Counter({name: count_held_out(total, options.test_fraction) for name, total in whole.items() if total})
        train = whole - test
    return {name: (train[name], test[name]) for name in classes(options)}


def decisive_options(domain: str, options: Options) -> dict[str, Any]:
    """Return the options that concern a domain, its classes, and the number and a hash of its files.

    The hash is over each sample's subset if it is given, class, name relative to the folder or list, and contents, in
    the order of the samples. It does not depend on where the folder or list is, nor on times.
    """
    places = {name for one in DOMAINS for name in (one, f"{one}_test")}
    own = options.model_dump(mode="json", exclude={*places, "classes", "list_root"})
    digest, count = hashlib.sha256(), 0
    train, test = places_of(domain, options)
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


class _Divided(NamedTuple):
    """The images of a domain, and (N,) their class numbers and which are for testing."""

    samples: list[Sample]
    labels: np.ndarray
    test: np.ndarray


def _divide(domain: str, options: Options) -> _Divided:
    import numpy as np

    from finecal.data.divisions import stratified_test
    from finecal.seeds import generator

    number = {name: i for i, name in enumerate(classes(options))}
    place, test_place = places_of(domain, options)
    rows = [(row, place) for row in place.rows()]
    if test_place is not None:
        test = np.repeat([False, True], [len(rows), len(test_place.rows())])
        rows += [(row, test_place) for row in test_place.rows()]
    labels = np.array([number[row.label] for row, _ in rows], np.int32)
    if test_place is None and has_subsets(place):
        test = np.array([row.subset == "test" for row, _ in rows])
    elif test_place is None:
        test = stratified_test(labels, options.test_fraction, generator("image_folder", domain, "test", options.seed))
    samples = [Sample(row, bool(held), one) for (row, one), held in zip(rows, test, strict=True)]
    return _Divided(samples, labels, test)


def prepare(domain: str, options: Options, files: object = None) -> ImageFiles:
    """Return the files of a domain with their labels; nothing is decoded yet."""
    from finecal.data.image_files import ImageFiles

    check(options)
    divided = _divide(domain, options)
    places = [place for place in places_of(domain, options) if place is not None]
    for line in (check_samples(divided.samples), *(line for place in places for line in describe_skipped(place))):
        print(line, file=sys.stderr)
    return ImageFiles(
        tuple(sample.row.file for sample in divided.samples), divided.labels, divided.test, classes(options),
        complete=domain == "source", root=Path(os.path.commonpath([place.root for place in places])),
        size=options.size, fit=options.fit,
    )  # fmt: skip
