"""What stands in a file or table of logits, by its role; nothing is checked or converted yet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError, join_names
from finecal.io import large
from finecal.io.outside import is_count
from finecal.logits import names
from finecal.logits.files import Source
from finecal.logits.labels import Words
from finecal.logits.names import FEATURES, LABEL, LOGITS, SAMPLE, SUBSET


@dataclass(frozen=True)
class Raw:
    """Columns by role; None where there is none.

    Attributes
    ----------
    logits
        (N, C).
    label, subset
        (N,), numbers or words.
    samples
        What each row is called, (N,), by the name of the column; there may be several.
    features
        (N, D).
    classes
        Names of the classes, if the names of columns told them.
    where, columns
        The file and all its columns, for errors.
    notes
        Which columns were taken, where that is not plain.
    """

    logits: npt.NDArray[Any]
    label: npt.NDArray[Any] | Words | None = None
    features: npt.NDArray[Any] | None = None
    subset: npt.NDArray[Any] | Words | None = None
    samples: Mapping[str, npt.NDArray[Any] | Words] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    where: str = ""
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def read_raw(source: Source, classes: Sequence[str] | None = None, *, features: bool = True) -> Raw:
    """Read the columns that have a role, and no other.

    Raises
    ------
    UserError
        If there are no logits; the error lists the columns.
    """
    if not source.rows:
        raise UserError("there is no sample", where=source.where)
    found: dict[str, Any] = {}
    notes: list[str] = []
    for role in (LABEL, SUBSET):
        taken = [name for name in names.find(role, source.names) if role == LABEL or not source.is_matrix(name)]
        if taken:
            found[role] = source.values(taken[0])
            notes += _said(role, taken)
    if SUBSET not in found and (flag := _flag(source)) is not None:
        found[SUBSET], more = flag
        notes += more
    samples, more = samples_of(source)
    notes += more
    logits, names_of_classes, more = _logits(source, classes, found.get(LABEL))
    notes += more
    if features:
        found[FEATURES], more = _features(source)
        notes += more
    return Raw(
        logits,
        classes=names_of_classes,
        where=source.where,
        columns=tuple(source.names),
        notes=tuple(notes),
        samples=samples,
        **found,
    )


FLAGS = {"is_train": ("train", "test"), "is_training": ("train", "test"), "is_test": ("test", "train")}


def _flag(source: Source) -> tuple[npt.NDArray[Any], list[str]] | None:
    """Return the subset that a column such as `is_train` of truth values tells; None without one."""
    for name in source.names:
        yes, no = FLAGS.get(names.plain(name), ("", ""))
        values = source.values(name) if yes and not source.is_matrix(name) else Words(np.empty(0, np.int64), (), False)
        if not isinstance(values, Words) and np.isin(values, (0, 1)).all():
            said = f"The column {name!r} is taken as subset: {yes} where it is true, else {no}."
            return np.where(values.astype(bool), yes, no), [said]
    return None


def samples_of(source: Source) -> tuple[dict[str, Any], list[str]]:
    """Read what the rows are called; a column that cannot be compared is named, as it may not be needed."""
    found, said = {}, []
    for name in names.find(SAMPLE, source.names):
        if source.is_matrix(name):
            continue
        try:
            found[names.plain(name)] = source.values(name)
        except UserError as error:
            said.append(f"Rows are not matched by the column {name!r}: {error.what}.")
    return found, said


def read_column(source: Source, role: str) -> tuple[Any, dict[str, Any], list[str]]:
    """Read the labels or features of a file of their own, the names of its samples, and what to say of these."""
    taken = names.find(role, source.names)
    numbers = [name for name in source.names if name not in names.find(SAMPLE, source.names)]
    if not taken and role == FEATURES and len(numbers) > 1 and all(map(source.is_number, numbers)):
        return (_beside(source, numbers), *samples_of(source))
    if not taken and len(source.names) == 1:
        taken = source.names
    if not taken:
        raise names.missing(role, source.names, source.where)
    read = source.values if role == LABEL else source.matrix
    return (read(taken[0]), *samples_of(source))


def _said(role: str, taken: list[str]) -> list[str]:
    """Say which column was taken where it is called otherwise, or where there were several."""
    if len(taken) > 1:
        return [
            f"The column {taken[0]!r} is taken as {role}, {join_names([repr(t) for t in taken[1:]], 3)} is not read."
        ]
    return [] if taken[0] == role else [f"The column {taken[0]!r} is taken as {role}."]


def _logits(
    source: Source, classes: Sequence[str] | None, label: Any
) -> tuple[npt.NDArray[Any], tuple[str, ...] | None, list[str]]:
    columns = source.names
    named = names.find(LOGITS, columns)
    of_lists = [name for name in named if source.is_matrix(name)]
    if of_lists:
        return source.matrix(of_lists[0]), None, _said(LOGITS, of_lists)
    taken = {name for role in (LABEL, SUBSET, SAMPLE) for name in names.find(role, columns)}
    numeric = [name for name in columns if name not in taken and source.is_number(name)]
    if classes is not None and set(classes) <= set(numeric):
        return _beside(source, list(classes)), tuple(classes), []
    several, suffixes = names.per_class(LOGITS, numeric)
    _refuse_text(source, several, [name for name in columns if name not in taken])
    if several:
        known = {*(classes or ()), *(label.words if isinstance(label, Words) else ())}
        other = [k for k, one in enumerate(suffixes) if names.plain(one) in names.STATISTICS and one not in known]
        no_class = [f"The column {several[k]!r} is not taken as a class, by its name." for k in other]
        several, suffixes = ([one for k, one in enumerate(of) if k not in other] for of in (several, suffixes))
        names.check_numbers(LOGITS, suffixes, source.where)
        own = None if all(is_count(one) for one in suffixes) else tuple(suffixes)
        return _beside(source, several), own, [f"One column per class: {join_names(several, 4)}.", *no_class]
    numeric = [name for name in numeric if name and not name.startswith("Unnamed: ")]  # pandas' index
    if isinstance(label, Words) and set(label.words) <= set(numeric):
        if others := [name for name in numeric if name not in label.words]:
            raise UserError(
                f"the labels are names of columns, but not of {join_names(others, 5)}", where=source.where,
                why="Whether these are classes too is not known", hint="Name all classes (--classes, classes=)",
            )  # fmt: skip
        said = f"The columns {join_names(numeric, 6)} are taken as one class each, as the labels are their names."
        return _beside(source, numeric), tuple(numeric), [said]
    if named:
        kind = "one number per row" if source.is_number(named[0]) else source.kind(named[0])
        raise UserError(
            f"the column {named[0]!r} is {kind}", where=source.where,
            why="Logits are a list of numbers per row, or one column per class. "
            f"It has {join_names(columns, names.SHOWN)}",
        )  # fmt: skip
    raise names.missing(LOGITS, columns, source.where)


def _refuse_text(source: Source, several: Sequence[str], columns: Sequence[str]) -> None:
    """Raise UserError if a column that is called like those of the other classes has numbers that are text."""
    called, suffixes = names.per_class(LOGITS, columns)
    if not {*several} <= {*called}:
        return
    for name, own in zip(called, suffixes, strict=True):
        if source.kind(name) != "text" or names.plain(own) in names.STATISTICS:
            continue
        column = source.values(name)
        first = str(column.words[column.codes[0]] if isinstance(column, Words) else column[0])
        if re.match(r"\s*[-+]?[.,]?\d", first):
            raise UserError(
                f"the column {name!r} is text, which begins with {first[:20]!r}", where=source.where,
                why="It is called like a class, whose logits are numbers",
                hint="Numbers have a point (or, between semicolons, a comma) and no signs for thousands or per cent",
            )  # fmt: skip


def _features(source: Source) -> tuple[npt.NDArray[Any] | None, list[str]]:
    named = [name for name in names.find(FEATURES, source.names) if source.is_matrix(name)]
    if named:
        return source.matrix(named[0]), _said(FEATURES, named)
    several, suffixes = names.per_class(FEATURES, [name for name in source.names if source.is_number(name)])
    if several and all(is_count(one) for one in suffixes):
        names.check_numbers(FEATURES, suffixes, source.where)
        return _beside(source, several), [f"Features are the columns {join_names(several, 3)}."]
    return None, []


def _beside(source: Source, columns: Sequence[str]) -> npt.NDArray[Any]:
    """Return columns of numbers as one matrix."""
    first = np.asarray(source.values(columns[0]))
    kind = np.float64 if first.dtype == np.float64 else np.float32
    found = large.empty((len(first), len(columns)), kind)
    for place, name in enumerate(columns):
        found[:, place] = source.values(name)
    return found
