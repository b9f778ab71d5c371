"""Data sets, recipes, calibrators, tables and figures are files in a folder, found by their module name."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from finecal.errors import unknown

PACKAGE = Path(__file__).parent
KINDS = {
    "dataset": "datasets",
    "recipe": "recipes",
    "calibrator": "calibrators",
    "table": "tables",
    "figure": "figures",
}


@cache
def names(kind: str) -> tuple[str, ...]:
    """The names there are of a kind (a key of `KINDS`), sorted."""
    folder = PACKAGE / KINDS[kind]
    return tuple(sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")))


def source_file(kind: str, name: str) -> Path:
    """The file that defines a name; raises UserError with the closest names if there is none."""
    if name not in names(kind):
        raise unknown(kind, name, names(kind))
    return PACKAGE / KINDS[kind] / f"{name}.py"


def load(kind: str, name: str) -> ModuleType:
    """Import the module of a name."""
    source_file(kind, name)
    return importlib.import_module(f"finecal.{KINDS[kind]}.{name}")


@cache
def _parsed(kind: str, name: str) -> ast.Module:
    return ast.parse(source_file(kind, name).read_text("utf-8"))


def description(kind: str, name: str) -> str:
    """The first paragraph of the module's docstring on one line, read without importing it."""
    docstring = ast.get_docstring(_parsed(kind, name)) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


def title(kind: str, name: str) -> str:
    """The beginning of the description, up to the first full stop or colon."""
    return re.split(r"[.:](?= |$)", description(kind, name))[0]


_REQUIRED = object()


def constant(kind: str, name: str, constant: str, default: Any = _REQUIRED) -> Any:
    """A literal assigned at the top of a module, read without importing the module and what it imports."""
    for statement in _parsed(kind, name).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.Assign) and constant in [t.id for t in targets if isinstance(t, ast.Name)]:
            return ast.literal_eval(statement.value)
    if default is _REQUIRED:
        raise AttributeError(f"{name} has no constant {constant}")
    return default
