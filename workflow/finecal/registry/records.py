"""What is known of each plugin, as one typed record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finecal.registry.files import constant, description, is_own, package_of, source_file
from finecal.registry.loading import load

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class Record:
    """What a plugin says of itself, read without importing it.

    Attributes
    ----------
    kind
        Key of `finecal.registry.KINDS`.
    name
        Its name, or the path of the user's own file.
    file
        The file that defines it.
    description
        One line, the first paragraph of the file's docstring.
    package
        The distribution that brings it; empty for finecal's own plugins and for the user's files.
    paper
        Where it was published (`PAPER`); empty if it was not.
    """

    kind: str
    name: str
    file: Path
    description: str
    package: str
    paper: str


@dataclass(frozen=True)
class CalibratorRecord(Record):
    """A calibrator with what it declares.

    Attributes
    ----------
    options
        The model of its options.
    make
        The calibrator with some options.
    reads
        The data that it is fitted on: keys of `finecal.calibration.READABLE`.
    takes
        What it takes of each sample besides its logits: keys of `finecal.calibration.TAKEABLE`.
    linear_head_only
        Whether it makes sense for linear heads only.
    """

    options: type[BaseModel]
    make: Callable[[Any], Any]
    reads: frozenset[str]
    takes: frozenset[str]
    linear_head_only: bool


@dataclass(frozen=True)
class RecipeRecord(Record):
    """A recipe: the model of its options, and the recipe with some options."""

    options: type[BaseModel]
    make: Callable[[Any], Any]


@dataclass(frozen=True)
class DatasetRecord(Record):
    """A data set: the model of its options, the licence of its files, and how to cite it, both empty if not said."""

    options: type[BaseModel]
    licence: str
    citation: str


def record(kind: str, name: str) -> Record:
    """Return what a plugin says of itself without importing it.

    Raises
    ------
    UserError
        If there is no such plugin, or its file cannot be read.
    """
    return Record(**_words(kind, name))


def calibrator_record(name: str) -> CalibratorRecord:
    """Return the record of a calibrator; raise UserError as `finecal.registry.load` does."""
    return _calibrator_record(name, source_file("calibrator", name))


@cache  # a plan asks once for each run
def _calibrator_record(name: str, _file: Path) -> CalibratorRecord:
    module = load("calibrator", name)
    return CalibratorRecord(
        **_words("calibrator", name),
        options=module.Options,
        make=module.Calibrator,
        reads=module.READS,
        takes=getattr(module, "TAKES", frozenset()),
        linear_head_only=getattr(module, "LINEAR_HEAD_ONLY", False),
    )


def recipe_record(name: str) -> RecipeRecord:
    """Return the record of a recipe; raise UserError as `finecal.registry.load` does."""
    module = load("recipe", name)
    return RecipeRecord(**_words("recipe", name), options=module.Options, make=module.Recipe)


def dataset_record(name: str) -> DatasetRecord:
    """Return the record of a data set; raise UserError as `finecal.registry.load` does."""
    module = load("dataset", name)
    licence, citation = getattr(module, "LICENCE", ""), getattr(module, "CITATION", "")
    return DatasetRecord(**_words("dataset", name), options=module.Options, licence=licence, citation=citation)


def _words(kind: str, name: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": name,
        "file": source_file(kind, name),
        "description": description(kind, name),
        "package": "" if is_own(name) else package_of(kind, name),
        "paper": constant(kind, name, "PAPER", ""),
    }
