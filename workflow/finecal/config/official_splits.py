"""Splits that a data set's publisher or the paper uses: which tasks they are for, and which classes are in S.

The module of a data set that has some defines `official_tasks(options)`, the tasks that have one;
`official_downloads(options)`, the files that list them; and `official_split(source, options, folder)`, the order of the
classes for a source domain, those of S first, and the size of S. `folder` has the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from finecal import registry
from finecal.download.spec import Download
from finecal.errors import UserError, unknown

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
    use = study.datasets[dataset]
    module = registry.load("dataset", use.source or dataset)
    official = module.official_tasks(module.Options.model_validate(use.options))
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


def official_downloads(source: str, options: Any) -> tuple[Download, ...]:
    """Return the files that list the official splits of a data set."""
    module = registry.load("dataset", source)
    found: tuple[Download, ...] = getattr(module, "official_downloads", lambda _options: ())(options)
    return found


def official_classes(source: str, options: Any, split: OfficialSplit, folder: Path, total: int) -> list[int]:
    """Return the class numbers of S, ascending.

    Raises
    ------
    UserError
        If the order is not one of the data set's classes, or is shorter than S.
    """
    order, published = registry.load("dataset", source).official_split(split.source, options, folder)
    count = published if split.count is None else split.count
    if max(order) >= total:
        raise UserError(f"the order has class {max(order)}, the data set has {total} classes", where=str(folder))
    if not 0 < count < total or count > len(order):
        raise UserError(
            f"S would be {count} of {len(order)} classes in the published order", where="splits",
            why=f"The data set has {total}; S and U need one at least",
        )  # fmt: skip
    return sorted(order[:count])
