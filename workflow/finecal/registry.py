"""Data sets, recipes, calibrators, tables and figures are files in a folder, found by their module name.

A study may also name a file of the user's own, by a path that ends in `.py`, relative to the working directory.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from finecal.errors import UserError, unknown

PACKAGE = Path(__file__).parent
KINDS = {
    "dataset": "datasets",
    "recipe": "recipes",
    "calibrator": "calibrators",
    "table": "tables",
    "figure": "figures",
}
# What a file of the user's own must define.
OWN = {
    "dataset": (),  # `finecal.datasets.check_plugin` says what
    "recipe": ("Options", "Recipe"),
    "calibrator": ("Options", "Calibrator", "READS"),
}


@cache
def names(kind: str) -> tuple[str, ...]:
    """The names there are of a kind (a key of `KINDS`), sorted."""
    folder = PACKAGE / KINDS[kind]
    return tuple(sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")))


def source_file(kind: str, name: str) -> Path:
    """The file that defines a name; raises UserError with the closest names if there is none."""
    if is_own(name):
        if kind not in OWN or not Path(name).is_file():
            raise UserError(
                f"there is no file {name!r}", why="A path of your own file is relative to the working directory"
            )
        return Path(name)
    if name not in names(kind):
        raise unknown(kind, name, names(kind))
    return PACKAGE / KINDS[kind] / f"{name}.py"


def load(kind: str, name: str) -> ModuleType:
    """Import the module of a name.

    Raises
    ------
    UserError
        If there is none, or a file of the user's own fails to import, or does not define what its kind needs, or is
        refused by `check_plugin` of the kind's package.
    """
    file = source_file(kind, name)
    return _load_own(kind, file) if is_own(name) else importlib.import_module(f"finecal.{KINDS[kind]}.{name}")


def is_own(name: str) -> bool:
    """Whether a name is the path of the user's own file."""
    return name.endswith(".py")


@cache
def _load_own(kind: str, file: Path) -> ModuleType:
    # Imported under a name that no built-in module has; known to `sys.modules`, as pydantic needs it for types.
    name = f"finecal_own_{kind}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        line = next((f":{frame.lineno}" for frame in _frames(error) if Path(frame.filename) == file.absolute()), "")
        raise UserError(
            f"{type(error).__name__}: {error}", where=f"{file}{line}", why="It must import without an error"
        ) from error
    missing = [attribute for attribute in OWN[kind] if not hasattr(module, attribute)]
    if missing:
        raise UserError(f"this file defines no {', no '.join(missing)}", where=str(file), why=f"A {kind} needs it")
    package = importlib.import_module(f"finecal.{KINDS[kind]}")
    if hasattr(package, "check_plugin"):
        package.check_plugin(module, str(file))
    return module


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return traceback.extract_tb(error.__traceback__)[::-1]


def takes(name: str) -> frozenset[str]:
    """What a calibrator takes of each sample besides its logits: keys of `finecal.calibration.TAKEABLE`."""
    found: frozenset[str] = getattr(load("calibrator", name), "TAKES", frozenset())
    return found


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
