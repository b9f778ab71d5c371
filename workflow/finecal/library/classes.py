"""S as people tell it: numbers, names, a mask, a text with commas, or a file with a line for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set, ValuesView
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal import display
from finecal.config.split_resolution import class_numbers
from finecal.errors import UserError
from finecal.io.outside import is_count, read_text
from finecal.logits.labels import Words
from finecal.logits.memory import as_array

OPTION, ARGUMENT = "--fine-tuning", "fine_tuning"


def mask_of(
    given: Any, num_classes: int, classes: Sequence[str] | None = None, where: str = ARGUMENT
) -> npt.NDArray[np.bool_]:
    """Return the (C,) mask of S.

    Parameters
    ----------
    given
        Class numbers, counted from 0, or names; a mask (C,) of truth values; a text with commas; the path of a file.
    classes
        Names of the classes, if they are known.
    where
        What errors call it.

    Raises
    ------
    UserError
        If a class is not known or there twice, or S is empty or all of Y.
    """
    if isinstance(given, (str, Path)):
        parts, where = _of_text(given, classes, where)
    else:
        if isinstance(given, Mapping):
            raise UserError("a dict is not understood", where=where, why="Numbers, names, or a mask are needed")
        found = _one_dimensional(given, where)
        if found.dtype == bool:
            if len(found) != num_classes:
                raise UserError(
                    f"the mask is of {display.count(len(found), 'class')}",
                    where=where,
                    why=f"The logits have {num_classes}",
                )
            return _checked(found.copy(), where)
        if found.dtype.kind == "f" and len(found) and (found == np.floor(found)).all():
            found = found.astype(np.int64)
        if found.dtype.kind == "f" and len(found):
            wrong = found[~(found == np.floor(found))][0]
            raise UserError(f"{wrong} is not a class number", where=where, why="Whole numbers or names are allowed")
        parts = found.tolist()
        if len(parts) == num_classes > 2 and {*parts} <= {0, 1}:
            raise UserError(
                f"{display.count(num_classes, 'number')} 0 or 1 are no class numbers",
                where=where,
                hint="A mask has truth values (bool)",
            )
    numbers = _numbers([part for part in parts if part != ""], classes, where)
    mask = np.zeros(num_classes, dtype=bool)
    names = tuple(classes) if classes else tuple(map(str, range(num_classes)))
    mask[class_numbers(tuple(numbers), names, where)] = True
    return _checked(mask, where)


def names_of(given: Any, where: str = "classes") -> tuple[str, ...] | None:
    """Return class names from a list, a text with commas, or a file with a line for each; None for None."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        given = _by_number(given, where)
    if isinstance(given, (str, Path)):
        found = [part for part in _of_text(given, None, where)[0] if part]
    elif isinstance(given, Set):
        raise UserError("a set has no order", where=where, why="Names in the order of the columns are needed")
    else:
        found = [str(name) for name in _one_dimensional(given, where)]
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise UserError(f"class {twice[0]!r} is there more than once", where=where)
    return tuple(found)


def _one_dimensional(given: Any, where: str) -> npt.NDArray[Any]:
    """Return classes that anything holds as one array of numbers, names or truth values."""
    found = as_array(list(given) if isinstance(given, (Set, ValuesView, range)) else given, where)
    if isinstance(found, Words):
        found = np.asarray(found.words)[found.codes]
    flat: npt.NDArray[Any] = np.asarray(found).reshape(-1)
    if flat.dtype.kind == "S":
        flat = np.char.decode(flat, "utf-8")
    if flat.dtype.kind not in "biufU" and not all(isinstance(one, (str, int)) for one in flat):
        raise UserError(
            f"a {type(given).__name__} is not understood", where=where, why="Numbers, names, or a mask are needed"
        )
    return flat


def _by_number(given: Mapping[Any, Any], where: str) -> list[str]:
    """Return the names of number → name, as `id2label` of Hugging Face, or of name → number."""
    numbered = all(is_count(str(key)) for key in given)
    pairs = [(key, name) if numbered else (name, key) for key, name in given.items()]
    named = {int(number): str(name) for number, name in pairs if is_count(str(number))}
    if sorted(named) != list(range(len(given))):
        raise UserError(
            "a dict of classes must have each number from 0 on once", where=where,
            why="number → name, or name → number",
        )  # fmt: skip
    return [named[number] for number in range(len(named))]


def _of_text(given: str | Path, classes: Sequence[str] | None, where: str) -> tuple[list[str], str]:
    """Return the parts of a text or of the file that it names, and what errors call it."""
    text = str(given)
    parts = [part.strip() for part in text.split(",")]
    plain = all(is_count(part.removeprefix("-")) or part in (classes or ()) for part in parts if part)
    if isinstance(given, Path) or (not plain and _is_file(text)):
        return [line.strip() for line in read_text(text, encoding="utf-8-sig").splitlines()], text
    return parts, where


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a null byte
        return False


def _numbers(parts: list[Any], classes: Sequence[str] | None, where: str) -> list[str | int]:
    """Names stay names where all are known ones; else everything must be a number."""
    if classes and parts and all(isinstance(part, str) and part in classes for part in parts):
        return list(parts)
    found: list[str | int] = []
    for part in parts:
        if isinstance(part, str) and not is_count(part.removeprefix("-")):
            if classes:
                found.append(part)
                continue
            raise UserError(
                f"{part!r} is not a class number", where=where,
                why="Give numbers separated by commas, or a file with one number per line",
                hint="Names are understood where those of all classes are known (--classes, classes=)",
            )  # fmt: skip
        found.append(int(part))
    return found


def _checked(mask: npt.NDArray[np.bool_], where: str) -> npt.NDArray[np.bool_]:
    if mask.all() or not mask.any():
        size = "all" if mask.all() else "none"
        known = display.count(len(mask), "class")
        of_all = f"{size} of the {known} are fine-tuning classes"
        words = of_all if len(mask) > 1 else "the only class is a fine-tuning class"
        raise UserError(words, where=where, why="S and U both need one")
    return mask
