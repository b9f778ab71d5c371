"""Labels in the forms that people have them: class numbers from whatever stands for a class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal import display
from finecal.errors import UserError, join_names, unknown
from finecal.io.outside import is_count


@dataclass(frozen=True)
class Words:
    """Labels that are words, or numbers that stand for words.

    Attributes
    ----------
    codes
        (N,) positions among `words`.
    words
        The different words.
    ordered
        Whether the order of `words` is one that somebody declared (an ordered category, an enum), or only how they
        happened to come.
    """

    codes: npt.NDArray[np.int64]
    words: tuple[str, ...]
    ordered: bool


@dataclass(frozen=True)
class Labels:
    """(N,) int32 class numbers, the names of the classes if the labels told them, and what was assumed."""

    numbers: npt.NDArray[np.int32]
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def labels_of(
    given: npt.NDArray[Any] | Words, num_classes: int, classes: Sequence[str] | None, where: str = ""
) -> Labels:
    """Return labels as class numbers.

    Parameters
    ----------
    given
        (N,) or (N, 1) whole numbers, words or truth values; (N, C) with a single 1 in each row; or `Words`.
    num_classes
        C, the width of the logits.
    classes
        Names of the classes, if they are known.

    Raises
    ------
    UserError
        If they are no labels, out of range, or words whose classes are not known.
    """
    if isinstance(given, Words):
        return _of_words(given, num_classes, classes, where)
    values = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
    if values.ndim == 2 and values.shape[1] == num_classes and _one_hot(values):
        return Labels(values.argmax(axis=1).astype(np.int32), None, ("The labels are one column per class.",))
    if values.ndim != 1:
        raise UserError(f"label has shape {given.shape}", where=where, why="One label per row is needed")
    if values.dtype.kind in "OSUT":
        return _of_words(as_words(values), num_classes, classes, where)
    if values.dtype.kind not in "iufb":
        raise UserError(f"label has type {values.dtype}", where=where, why="Labels are class numbers or names")
    if values.dtype.kind == "f":
        wrong = np.flatnonzero(~(np.floor(values) == values))
        if len(wrong):
            raise UserError(
                f"row {wrong[0]} has the label {values[wrong[0]]}",
                where=where,
                why="Labels are whole numbers, from 0 on",
            )
    return Labels(_in_range(values, num_classes, where))


def _one_hot(values: npt.NDArray[Any]) -> bool:
    return bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def as_words(values: npt.NDArray[Any]) -> Words:
    """Return an array of text as `Words`."""
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    words, codes = np.unique(values.astype(str), return_inverse=True)
    return Words(codes.reshape(-1).astype(np.int64), tuple(words.tolist()), False)


def _in_range(values: npt.NDArray[Any], num_classes: int, where: str) -> npt.NDArray[np.int32]:
    outside = np.flatnonzero((values < 0) | (values >= num_classes))
    if len(outside):
        row = int(outside[0])
        raise UserError(
            f"row {row} has the label {values[row]:.0f}", where=where, why=f"Labels are 0 to {num_classes - 1}",
            hint=_out_of_range(float(values.min()), float(values.max()), num_classes),
        )  # fmt: skip
    return values.astype(np.int32)


def _out_of_range(least: float, most: float, num_classes: int) -> str:
    """What is probably meant by labels that are out of range; empty if that is not known."""
    if least >= 1 and most == num_classes:
        return f"They run from {least:.0f} to {num_classes}, they start at 1: subtract 1"
    if least < 0 and most == num_classes - 2:
        return f"They run from {least:.0f} to {most:.0f}, they start at −1: add 1"
    return "A negative number often stands for no label: leave such rows out" if least < 0 <= most < num_classes else ""


def _of_words(given: Words, num_classes: int, classes: Sequence[str] | None, where: str) -> Labels:
    if classes is not None:
        place = {name: number for number, name in enumerate(classes)}
        strange = [word for word in given.words if word not in place]
        used = set(np.unique(given.codes).tolist())
        strange = [word for word in strange if given.words.index(word) in used]
        if not strange:
            numbers = np.array([place.get(word, -1) for word in given.words])
            return Labels(numbers[given.codes].astype(np.int32), tuple(classes))
        if not all(_is_number(word) for word in given.words):
            raise unknown("class", strange[0], list(classes), where=where)
    if all(_is_number(word) for word in given.words):
        numbers = np.array([int(float(word)) for word in given.words], dtype=np.int64)
        return Labels(_in_range(numbers[given.codes], num_classes, where))
    if len(given.words) != num_classes:
        raise UserError(
            f"the labels are {display.count(len(given.words), 'different word')} "
            f"({join_names(list(given.words), 3)}), the logits have {display.count(num_classes, 'column')}",
            where=where, why="Which word is which column is not known",
            hint="Name the classes in the order of the columns (--classes, classes=)",
        )  # fmt: skip
    if given.ordered:
        return Labels(given.codes.astype(np.int32), given.words)
    order = sorted(range(num_classes), key=lambda code: given.words[code])
    place_of = np.empty(num_classes, dtype=np.int32)
    place_of[order] = np.arange(num_classes)
    said = (
        "The labels are words: column k of the logits is taken as the k-th in alphabetical order, as folders of images "
        "are numbered. If that is wrong, name the classes in their order (--classes, classes=)."
    )
    return Labels(place_of[given.codes], tuple(given.words[code] for code in order), (said,))


def _is_number(word: str) -> bool:
    return is_count(re.sub(r"\.0*$", "", word.strip()))  # "3.0" is what a column of text makes of a float
