"""What a user has brought, checked: predictions, the names of classes and samples, and all that should be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal import display
from finecal.errors import UserError, not_finite
from finecal.io import large
from finecal.logits import alignment, class_order, names
from finecal.logits.kinds import AUTO, as_logits
from finecal.logits.labels import Words, labels_of
from finecal.logits.raw import Raw
from finecal.logits.subsets import subsets


@dataclass(frozen=True)
class Brought:
    """Checked logits with what belongs to them.

    Attributes
    ----------
    logits
        (N, C) float32 or float64, finite.
    labels
        (N,) int32; None only for a pretrained model's, which are those of the fine-tuned one.
    subset
        (N,) of train, validation and test; None where nothing says so: then all rows are test rows.
    features
        (N, D) floating-point, or None.
    samples
        What each row is called, (N,) text, by the name of the column.
    classes
        Names of the classes, if they are known.
    kind
        What the scores were, one of `finecal.logits.kinds.KINDS`.
    masked
        The classes without scores.
    holes
        The rows that lack a score which others have.
    """

    logits: npt.NDArray[Any]
    labels: npt.NDArray[np.int32] | None
    subset: npt.NDArray[Any] | None
    features: npt.NDArray[Any] | None
    samples: Mapping[str, npt.NDArray[Any]]
    classes: tuple[str, ...] | None
    where: str
    kind: str
    notes: tuple[str, ...]
    masked: tuple[int, ...]
    holes: int = 0

    def rows(self, order: npt.NDArray[np.intp]) -> Brought:
        """Return some rows in an order."""
        parts = ("logits", "labels", "subset", "features")
        chosen: dict[str, Any] = {
            part: None if (own := getattr(self, part)) is None else large.take(own, order) for part in parts
        }
        return replace(self, samples={name: one[order] for name, one in self.samples.items()}, **chosen)


def check(raw: Raw, *, kind: str = AUTO, classes: Sequence[str] | None = None, labelled: bool = True) -> Brought:
    """Check columns and bring them into one form.

    Parameters
    ----------
    kind
        What the scores are; "auto" recognises it.
    classes
        Names of the classes in the order of the columns.
    labelled
        Whether labels are needed.

    Raises
    ------
    UserError
        For whatever cannot be used; it names the file, the value and what is allowed.
    """
    where = raw.where
    logits = _matrix(raw.logits, "logits", where)
    width = logits.shape[1]
    own, classes = raw.classes, classes or raw.classes
    if classes is not None and len(classes) != width:
        raise UserError(
            f"there {_are(len(classes))} {display.count(len(classes), 'class name')}",
            where=where,
            why=f"The logits have {display.count(width, 'column')}",
        )
    if raw.label is None and labelled:
        if not raw.columns:
            raise UserError("the labels are missing", where=where, hint="Give labels=, or --labels FILE")
        raise names.missing("label", raw.columns, where, "A file of labels can be given (--labels FILE, labels=)")
    if not len(logits):
        raise UserError("there is no sample", where=where)
    features = None if raw.features is None else _matrix(raw.features, "features", where)
    for name, column in (("label", raw.label), ("features", features), ("subset", raw.subset), *raw.samples.items()):
        if column is not None and (n := length(column)) != len(logits):
            raise UserError(
                f"{name} has {display.count(n, 'row')}, the logits have {len(logits):,}", where=where,
                hint=f"They are {logits.shape}, one row per class: bring them transposed (.T)" if n == width else "",
            )  # fmt: skip
    chosen, of_order = class_order.order(own, classes, "the given classes")
    scores = as_logits(logits if chosen is None else class_order.columns(logits, chosen), kind, where)
    _check_finite(scores.logits, where)
    if features is not None and not _finite(features):
        raise UserError("a feature is NaN or infinite", where=where)
    labels = None if raw.label is None else labels_of(raw.label, width, classes, where)
    known = tuple(classes) if classes else (labels.classes if labels else None)
    return Brought(
        scores.logits, None if labels is None else labels.numbers,
        None if raw.subset is None else subsets(as_text(raw.subset), where), features,
        {name: as_text(one) for name, one in raw.samples.items()}, known, where, scores.kind,
        (*raw.notes, *of_order, *scores.notes, *(labels.notes if labels else ())), scores.masked, scores.holes,
    )  # fmt: skip


def same_samples(tuned: Brought, before: Brought) -> tuple[Brought, list[str]]:
    """Return the pretrained model's rows in the order of the fine-tuned one's, and how they were matched.

    Raises
    ------
    UserError
        If a sample is missing, or shapes, labels or subsets differ.
    """
    if before.logits.shape[1] != tuned.logits.shape[1]:
        raise UserError(
            f"the logits have shape {before.logits.shape}", where=before.where,
            why=f"{tuned.where or 'The fine-tuned model'} has {tuned.logits.shape}",
        )  # fmt: skip
    other = tuned.where or "the fine-tuned model"
    order, said = alignment.order(
        *alignment.common(tuned.samples, before.samples), (len(tuned.logits), len(before.logits)), before.where
    )
    before = before if order is None else before.rows(order)
    before, of_classes = _same_classes(tuned, before)
    said += of_classes
    for name, words in (("labels", "labels"), ("subset", "subsets")):
        own, its = getattr(tuned, name), getattr(before, name)
        if own is not None and its is not None and not np.array_equal(own, its):
            raise UserError(
                f"its samples are not those of {other}", where=before.where,
                why=f"The {words} differ. Both need the same rows in the same order, or a column sample, id or file",
            )  # fmt: skip
    if order is None and not alignment.agree(tuned.logits, before.logits, tuned.labels):
        said = [*said, alignment.STRANGERS]
    return replace(before, labels=tuned.labels, subset=tuned.subset), said


def _same_classes(tuned: Brought, before: Brought) -> tuple[Brought, list[str]]:
    """Return the pretrained model's columns in the order of the fine-tuned one's, where both have names."""
    chosen, said = class_order.order(before.classes, tuned.classes, tuned.where or "the fine-tuned model")
    said = [f"Pretrained: {one}" for one in said]
    if chosen is None:
        return before, said
    labels = None if before.labels is None else np.argsort(chosen)[before.labels].astype(np.int32)
    masked = tuple(place for place, column in enumerate(chosen) if column in before.masked)
    logits = class_order.columns(before.logits, chosen)
    return replace(before, logits=logits, labels=labels, masked=masked, classes=tuned.classes), said


def length(column: Any) -> int:
    """Return the number of rows of an array or of `Words`."""
    if isinstance(column, Words):
        return len(column.codes)
    if not np.ndim(column):
        raise UserError(f"{column!r} is one value", why="One for each row is needed")
    return len(column)


def as_text(column: Any) -> npt.NDArray[Any]:
    """Return a column as (N,) text."""
    if isinstance(column, Words):
        return np.asarray(column.words, dtype=np.str_)[column.codes]
    column = np.asarray(column)
    if column.dtype.kind == "f" and (column == np.floor(column)).all():  # numbers that a join has made floats
        column = column.astype(np.int64)
    text: npt.NDArray[Any] = column.reshape(len(column)).astype(np.str_)
    return text


def _matrix(values: Any, name: str, where: str) -> npt.NDArray[Any]:
    """Return (N, width) float32 or float64 of whatever numbers there are; lengths of 1 in between are left out."""
    array = np.asarray(values)
    if array.ndim > 2 and sum(size != 1 for size in array.shape[1:]) <= 1:
        array = array.reshape(len(array), -1)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or (len(array) and array.shape[1] < 2 and name == "logits"):
        raise UserError(
            f"{name} has shape {array.shape} and type {array.dtype}", where=where,
            why="It must be a list of numbers per sample, all of the same length"
            + (", with one for each class (two or more)" if name == "logits" else ""),
        )  # fmt: skip
    if array.dtype in (np.float64, np.float32):
        return array
    found = large.empty(array.shape, np.float32)
    for part in large.parts(found):
        found[part] = array[part]
    return found


def _finite(values: npt.NDArray[Any]) -> bool:
    return all(np.isfinite(values[part]).all() for part in large.parts(values))


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _check_finite(logits: npt.NDArray[Any], where: str) -> None:
    if _finite(logits):
        return
    bad = np.flatnonzero(np.concatenate([~np.isfinite(logits[part]).all(axis=1) for part in large.parts(logits)]))
    if len(bad):
        raise not_finite(int(bad[0]), len(bad), where)
