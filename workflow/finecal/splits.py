"""Which classes a split means, from its options and the names of the classes."""

from __future__ import annotations

from finecal.config import ClassesSplit, OfficialSplit, RandomSplit
from finecal.errors import UserError, unknown


def split_size(split: RandomSplit | ClassesSplit | OfficialSplit, classes: tuple[str, ...], where: str) -> int:
    """Number of fine-tuning classes of a split; UserError if S would be empty or all of Y."""
    total = len(classes)
    if isinstance(split, ClassesSplit):
        size = len(class_numbers(split.fine_tuning, classes, where))
    elif isinstance(split, RandomSplit):
        size = split.count if split.count is not None else round((split.fraction or 0) * total)
    else:
        return total
    if not 0 < size < total:
        what = "more classes than there are" if size > total else "all classes" if size == total else "no class"
        raise UserError(
            f"this split takes {what} for fine-tuning ({size} of {total})", where=where,
            why=f"S needs 1 to {total - 1} classes, so that both S and U have at least one",
        )  # fmt: skip
    return size


def class_numbers(given: tuple[str | int, ...], classes: tuple[str, ...], where: str) -> list[int]:
    """Class numbers of classes given by name or by number, sorted.

    A text is looked up as a name; a number counts from 0 in the data set's order of classes.
    """
    numbers = []
    for value in given:
        if isinstance(value, int) and not 0 <= value < len(classes):
            raise UserError(
                f"class number {value} is out of range", where=where, why=f"0 to {len(classes) - 1} are allowed"
            )
        if isinstance(value, str) and value not in classes:
            raise unknown("class", value, classes, where=where)
        numbers.append(value if isinstance(value, int) else classes.index(value))
    twice = sorted({n for n in numbers if numbers.count(n) > 1})
    if twice:
        raise UserError(f"class {classes[twice[0]]!r} is given more than once", where=where)
    return sorted(numbers)
