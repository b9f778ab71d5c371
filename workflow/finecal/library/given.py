"""What a call is handed becomes checked logits: files, tables, arrays, with labels and features in or beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from finecal import display
from finecal.errors import UserError, join_names
from finecal.io.outside import is_count
from finecal.logits import alignment, names
from finecal.logits.brought import Brought, as_text, check, length
from finecal.logits.files import Source, Table
from finecal.logits.folders import files_of_folder
from finecal.logits.memory import as_array, as_source, is_batches
from finecal.logits.names import FEATURES, LABEL
from finecal.logits.raw import Raw, read_column, read_raw, samples_of


@dataclass(frozen=True)
class ScoresAs:
    """Scores that are said to be of a kind, so that nothing is guessed: `finecal.diagnose(ScoresAs(p, "sigmoid"), …)`.

    Attributes
    ----------
    values
        (N, C) numbers, a table or a file, as `finecal.diagnose` takes them.
    kind
        "logits", "probabilities", "log-probabilities", "sigmoid" or "percentages".
    """

    values: Any
    kind: str


def bring(
    logits: Any, *, labels: Any = None, features: Any = None, subset: Any = None, classes: Sequence[str] | None = None,
    scores: str = "auto", labelled: bool = True,
) -> Brought:  # fmt: skip
    """Return logits with what belongs to them.

    Parameters
    ----------
    logits
        A path, a table (pandas, polars, Arrow, a dict of arrays) with columns as a file has them, or (N, C) numbers;
        or one of these in `ScoresAs`.
    labels, features, subset
        What is not in there, or is to be taken instead: arrays, or files or tables, which are matched by sample.
    classes
        Names of the classes in the order of the columns.
    scores
        What the scores are (`finecal.logits.kinds`).
    labelled
        Whether labels are needed.

    Raises
    ------
    UserError
        For whatever cannot be used.
    """
    if isinstance(logits, ScoresAs):
        logits, scores = logits.values, logits.kind
    if logits is None:
        raise UserError("the logits are missing", why="(N, C) numbers, a table or a file are needed")
    for role, one in ((LABEL, labels), ("subset", subset), (FEATURES, features)):
        check_index(one, logits, role)
    if isinstance(logits, Iterator) and not hasattr(logits, "schema") and not hasattr(logits, "readinto"):
        logits = list(logits)  # neither Arrow's reader nor an open file
    labels, subset = (_per_batch(one, logits) for one in (labels, subset))
    source = as_source(logits)
    if source is None:
        raw = Raw(as_array(logits, "logits"))
    elif labels is not None and isinstance(source, Table) and _is_all_logits(source):
        raw = _all_logits(source, classes)
    else:
        raw = read_raw(source, classes, features=features is None)
    notes = list(raw.notes)
    for role, given in ((LABEL, labels), (FEATURES, features)):
        if given is not None:
            found, said = _beside(given, role, raw)
            raw = replace(raw, **{role: found})
            notes += said
    if subset is not None:
        words = np.full(length(raw.logits), subset) if isinstance(subset, str) else as_array(subset, "subset")
        raw = replace(raw, subset=words)
    return check(replace(raw, notes=tuple(notes)), kind=scores, classes=classes, labelled=labelled)


def _per_batch(given: Any, logits: Any) -> Any:
    """Return labels or subsets as one list if they came in the batches of the logits."""
    given = list(given) if isinstance(given, Iterator) else given
    if not is_batches(logits) or not isinstance(given, (list, tuple)) or not given:
        return given
    arrays = all(getattr(one, "ndim", 0) for one in given)
    lists = len(given) == len(logits) and all(isinstance(one, (list, tuple)) for one in given)
    return np.concatenate([np.asarray(as_array(one, "labels")) for one in given]) if arrays or lists else given


def _is_all_logits(table: Table) -> bool:
    """A table of numbers whose names say nothing, but perhaps what the rows are called."""
    roles = [role for role in names.NAMES if role != names.SAMPLE]
    known = any(names.find(role, table.names) for role in roles)
    plain = [name for name in table.names if name not in names.find(names.SAMPLE, table.names)]
    return (
        not known
        and not names.per_class(names.LOGITS, table.names)[0]
        and len(plain) > 1
        and all(map(table.is_number, plain))
    )


def _all_logits(table: Table, classes: Sequence[str] | None) -> Raw:
    """Take every column as a class, but an index that pandas wrote, what rows are called, and names of statistics."""
    index = [name for name in table.names if not name or name.startswith("Unnamed: ")]
    none = [name for name in table.names if names.plain(name) in names.STATISTICS and name not in (classes or ())]
    called = [name for name in names.find(names.SAMPLE, table.names) if name not in (classes or ())]
    taken = [name for name in table.names if name not in (*index, *none, *called)]
    if len(taken) < 2:
        raise names.missing(names.LOGITS, table.names, table.where)
    own = None if all(is_count(name) for name in taken) else tuple(taken)
    said = [] if own is None else [f"One column per class: {join_names(taken, 4)}."]
    said += [f"The column {name!r} is not taken as a class, by its name." for name in none]
    columns = np.column_stack([np.asarray(table.values(name)) for name in taken])
    samples, more = samples_of(table)
    samples = {name: one for name, one in samples.items() if name in map(names.plain, called)}
    return Raw(columns, classes=own, where=table.where, notes=(*said, *more), samples=samples)


def check_index(given: Any, logits: Any, role: str) -> None:
    """Raise UserError if pandas' index of what belongs to the logits has the same rows in another order.

    Whether the index counts, or the order, is not known then.
    """
    own, other = (getattr(one, "index", None) if hasattr(one, "iloc") else None for one in (logits, given))
    if own is None or other is None or len(own) != len(other) or own.equals(other):
        return
    columns = [[str(name) for name in getattr(one, "columns", ())] for one in (logits, given)]
    if any(all(names.find(role, one) for one in columns) for role in (names.SAMPLE, LABEL)):
        return  # these are compared
    if own.is_unique and other.is_unique and own.difference(other).empty:
        raise UserError(
            f"{role} has the index of the logits in another order",
            why="Whether the index or the order counts is not known",
            hint="`.loc[logits.index]` goes by the index, `.to_numpy()` by the order",
        )  # fmt: skip


def _beside(given: Any, role: str, raw: Raw) -> tuple[Any, list[str]]:
    """Return labels or features that came on their own, in the order of the logits."""
    source: Source | None = as_source(given)
    if source is None:
        return as_array(given, role), []
    found, samples, notes = read_column(source, role)
    if length(found) != len(raw.logits) and not samples:
        raise UserError(
            f"{role} has {display.count(length(found), 'row')}, the logits have {len(raw.logits):,}", where=source.where
        )
    own, other = ({name: as_text(one) for name, one in of.items()} for of in (raw.samples, samples))
    lengths = (len(raw.logits), length(found))
    order, said = alignment.order(*alignment.common(own, other), lengths, source.where)
    said = [*notes, *said]
    if order is None:
        return found, said
    return (replace(found, codes=found.codes[order]) if hasattr(found, "codes") else found[order]), said


def files_of(*given: Any) -> list[str | Path]:
    """Return those that are paths; a long list of classes is none, and too long for one."""
    paths = [one.values if isinstance(one, ScoresAs) else one for one in given]
    named = [one for one in paths if isinstance(one, (str, Path))]
    files: list[str | Path] = [one for one in named if os.path.isfile(one)]  # noqa: PTH113
    return [*files, *(file for one in named if os.path.isdir(one) for file in files_of_folder(Path(one)))]  # noqa: PTH112
