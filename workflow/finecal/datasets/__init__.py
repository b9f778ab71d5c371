"""One file per data set, and the table of all files that are downloaded for them (`downloads.csv`).

What a file here must and may define is explained in `finecal.data.dataset`. Files with a leading underscore hold what
several data sets share, or how one reads its files.
"""

from __future__ import annotations

import difflib
import inspect
from functools import cache
from pathlib import Path
from types import ModuleType

from pydantic import BaseModel

from finecal.data.dataset import FUNCTIONS, REQUIRED
from finecal.download.spec import Download
from finecal.download.table import PublishedFile, read_published
from finecal.errors import UserError, closest

TABLE = Path(__file__).with_name("downloads.csv")
# A name with at least this similarity to a function of the contract is taken for a misspelling of it.
MISSPELT = 0.9


@cache
def published_files() -> tuple[PublishedFile, ...]:
    """Return the rows of the table."""
    return read_published(TABLE)


def find_downloads(dataset: str, *files: str) -> tuple[Download, ...]:
    """Return the downloads of a built-in data set by their names, in the order of `files`.

    Raises
    ------
    KeyError
        If the table has no such row.
    """
    rows = {row.download.name: row.download for row in published_files() if dataset in row.datasets}
    return tuple(rows[file] for file in files)


def check_plugin(module: ModuleType, where: str) -> None:
    """Check that a module keeps the contract of data sets, as far as that shows without calling it.

    Raises
    ------
    UserError
        Naming the file (`where`), the function that is missing or wrong, and what is allowed.
    """
    needed = ("Options", *REQUIRED)
    optional = ", ".join(name for name in FUNCTIONS if name not in REQUIRED)
    if missing := [name for name in needed if not hasattr(module, name)]:
        why = f"A data set needs {', '.join(needed)}; it may also define {optional}"
        raise UserError(f"this file defines no {', no '.join(missing)}", where=where, why=why)
    if not (inspect.isclass(module.Options) and issubclass(module.Options, BaseModel)):
        raise UserError("Options is not a typed model", where=where, why="Derive it from finecal.config.Model")
    for name, parameters in FUNCTIONS.items():
        if hasattr(module, name) and not _accepts(getattr(module, name), parameters):
            raise UserError(
                f"`{name}` cannot be called with {', '.join(parameters)}", where=where,
                why=f"It must be a function: def {name}({', '.join(parameters)})",
            )  # fmt: skip
    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name not in FUNCTIONS:
            near = closest(name, FUNCTIONS)[0]
            if not hasattr(module, near) and difflib.SequenceMatcher(None, name, near).ratio() >= MISSPELT:
                raise UserError(
                    f"`{name}` is not a function of a data set; the closest is `{near}`", where=where,
                    why=f"A data set may define {optional}", hint="Names of helpers begin with an underscore",
                )  # fmt: skip
    if hasattr(module, "official_split") and not hasattr(module, "official_tasks"):
        raise UserError("this file defines `official_split`, but not `official_tasks`", where=where)


def _accepts(function: object, parameters: tuple[str, ...]) -> bool:
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*parameters)
    except TypeError:
        return False
    return True
