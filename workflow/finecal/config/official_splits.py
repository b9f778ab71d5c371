"""Splits that a data set's publisher or the paper uses: which tasks they are for, and which classes are in S."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from finecal.data.dataset import DataSet
from finecal.errors import UserError, counted, unknown

if TYPE_CHECKING:
    from finecal.config import OfficialSplit, Study


def official_source(study: Study, dataset: str, split: OfficialSplit, where: str) -> str:
    """Return the source domain whose split it is.

    Raises
    ------
    UserError
        If a task with that source has no official split; if the study has several sources and the split does not say
        which, or one that no task has.
    """
    official = study.data_set(dataset).official_tasks()
    tasks = study.tasks[dataset]
    sources = list(dict.fromkeys(task.partition("-")[0] for task in tasks))
    if split.source is None and len(sources) > 1:
        raise UserError(
            "this key is missing", where=f"{where}.source", why=f"The study has {', '.join(sources)}",
            hint="Give each its own split; it is for the tasks with its source",
        )  # fmt: skip
    if split.source is not None and split.source not in sources:
        raise unknown("source", split.source, sources, where=where)
    source = split.source or sources[0]
    for task in tasks:
        if task.partition("-")[0] == source and task not in official:
            raise UserError(
                f"the task {task!r} of {dataset!r} has no official split", where=where,
                why=f"Those that have one: {', '.join(official) or 'none'}",
                hint="Kinds that work for all: random, clustered, classes",
            )  # fmt: skip
    return source


def is_for_task(split: dict[str, Any], task: str) -> bool:
    """Return whether a split, by its resolved options, is for a task; an official one needs its source."""
    return split["kind"] != "official" or bool(split["source"] == task.partition("-")[0])


def official_classes(data_set: DataSet, split: OfficialSplit, folder: Path, total: int) -> list[int]:
    """Read the class numbers of S, ascending, from the files in a folder (`DataSet.official_downloads`).

    `split` names its source domain; the data set has `total` classes.

    Raises
    ------
    UserError
        If the order is not one of the data set's classes, or is shorter than S.
    """
    if split.source is None:
        raise AssertionError("a resolved split names its source domain")
    order, published = data_set.official_split(split.source, folder)
    count = published if split.count is None else split.count
    if max(order) >= total:
        said = f"the order has class {max(order)}, the data set has {counted(total, 'class')}"
        raise UserError(said, where=str(folder))
    if not 0 < count < total or count > len(order):
        raise UserError(
            f"S would be {count} of {counted(len(order), 'class')} in the published order", where="splits",
            why=f"The data set has {total}; S and U need one at least",
        )  # fmt: skip
    return sorted(order[:count])
