"""Which plugins there are, which file defines each, and what that file says without being imported."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

from finecal.errors import UserError, unknown
from finecal.registry.packages import GROUPS, packaged_file, packaged_plugins

PACKAGE = Path(__file__).parents[1]
# Kind → folder.
KINDS = {
    "dataset": "datasets",
    "recipe": "recipes",
    "calibrator": "calibrators",
    "table": "tables",
    "figure": "figures",
}


@cache
def built_in_names(kind: str) -> tuple[str, ...]:
    """Return the names of finecal's own plugins of a kind (a key of `KINDS`), sorted."""
    folder = PACKAGE / KINDS[kind]
    return tuple(sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")))


def names(kind: str) -> tuple[str, ...]:
    """Return the names of all installed plugins of a kind: finecal's own, sorted, then those of other packages.

    Raises
    ------
    UserError
        If two have the same name.
    """
    built_in = built_in_names(kind)
    return (*built_in, *packaged_plugins(kind, built_in))


def is_own(name: str) -> bool:
    """Return whether a name is the path of the user's own file."""
    return name.endswith(".py")


def package_of(kind: str, name: str) -> str:
    """Return the name of the distribution that brings a plugin; empty for finecal's own and for the user's files."""
    if is_own(name) or name in built_in_names(kind):
        return ""
    found = packaged_plugins(kind, built_in_names(kind)).get(name)
    return found.distribution if found else ""


def source_file(kind: str, name: str) -> Path:
    """Return the file that defines a plugin.

    Raises
    ------
    UserError
        If there is none, with the closest names; or if the entry point of a package leads nowhere.
    """
    if is_own(name):
        if kind not in GROUPS or not Path(name).is_file():
            raise UserError(
                f"there is no file {name!r}", why="A path of your own file is relative to the working directory"
            )
        return Path(name)
    built_in = built_in_names(kind)
    if name in built_in:  # first: a job then need not look through all installed packages
        return PACKAGE / KINDS[kind] / f"{name}.py"
    packaged = packaged_plugins(kind, built_in)
    if name not in packaged:
        raise unknown(kind, name, names(kind))
    return packaged_file(packaged[name])


@cache
def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text("utf-8"))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"not readable as Python ({error})", where=str(file)) from error


def description(kind: str, name: str) -> str:
    """Return the first paragraph of a module's docstring on one line, read without importing the module."""
    docstring = ast.get_docstring(_parsed(source_file(kind, name))) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


def title(kind: str, name: str) -> str:
    """Return the beginning of the description, up to the first full stop or colon."""
    return re.split(r"[.:](?= |$)", description(kind, name))[0]


_REQUIRED = object()


def constant(kind: str, name: str, constant: str, default: Any = _REQUIRED) -> Any:
    """Return a literal assigned at the top of a module, read without importing the module and what it imports."""
    for statement in _parsed(source_file(kind, name)).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.Assign) and constant in [t.id for t in targets if isinstance(t, ast.Name)]:
            return ast.literal_eval(statement.value)
    if default is _REQUIRED:
        raise AttributeError(f"{name} has no constant {constant}")
    return default
