"""Check that it is known which row of a head stands for which class, where the classes can be in two orders."""

from __future__ import annotations

from collections.abc import Sequence

from finecal.data.dataset import DataSet
from finecal.errors import UserError, join_names
from finecal.models import locations
from finecal.models.prompts import prompt_names

SHOWN = 4


def check_rows(data_set: DataSet, checkpoint: str, where: str) -> None:
    """Check a checkpoint whose head is taken as it is, and whose rows the study does not name.

    Raises
    ------
    UserError
        If the data set's classes have two orders and no name is in the checkpoint.
    """
    if data_set.other_order() is None or locations.names_of_rows(checkpoint, where) is not None:
        return
    if not _are_named_beside(data_set.classes() or (), checkpoint, where):
        raise two_orders(data_set, f"the head of {checkpoint!r} has no names", where)


def _are_named_beside(classes: Sequence[str], checkpoint: str, where: str) -> bool:
    """Return whether a trainer has saved the names of all classes beside the state dict."""
    from finecal.models.state_dicts import names_beside  # and with it torch: few studies come here

    file = locations.weights_files(checkpoint, where)[0]
    try:
        return any({*classes} <= {*names} for names in names_beside(file))
    except UserError as error:
        raise UserError(error.what, where=f"{where}: {error.where}", why=error.why, hint=error.hint) from error


def check_words(data_set: DataSet, dataset: str, given: str | Sequence[str] | None, where: str) -> None:
    """Check the words of a zero-shot head: the study's `class_names` (`given`), or those that the classes give.

    Raises
    ------
    UserError
        If words are given in the order of classes that have two orders, and as for `prompt_names`.
    """
    classes = data_set.classes()
    if given is not None and data_set.other_order() is not None:
        raise two_orders(data_set, "these words are in the order of the classes", f"{where}.class_names")
    if classes is not None:
        prompt_names(classes, locations.read_class_names(given, f"{where}.class_names"), dataset, where)


def two_orders(data_set: DataSet, what: str, where: str) -> UserError:
    """Return the error for a data set whose classes can be in two orders, and rows that have no names."""
    ours, theirs = data_set.classes() or (), data_set.other_order() or ()
    return UserError(
        f"{what}, and the classes can be in two orders", where=where,
        why=f"As text, as in torchvision's ImageFolder, they are {_begin(ours, theirs)}; by their numbers, as in "
        f"timm's ImageDataset, {_begin(theirs, ours)}",
        hint="Say which: give the data set's `classes` in the order in which the model was trained, or the "
        "checkpoint's `class_names`; each is a list or a text file with a name per line",
    )  # fmt: skip


def _begin(names: tuple[str, ...], other: tuple[str, ...]) -> str:
    """Return the names up to where they differ from the other order, and one more."""
    differ = next(place for place, (one, two) in enumerate(zip(names, other, strict=True)) if one != two)
    start = max(0, differ + 2 - SHOWN)
    shown = list(names[start : start + SHOWN])
    return ("…, " if start else "") + join_names(shown, SHOWN) + (", …" if start + SHOWN < len(names) else "")
