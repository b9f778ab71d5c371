"""Import the modules of plugins and check that they define what their kind needs."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

from finecal.errors import UserError
from finecal.registry.files import KINDS, built_in_names, is_own, source_file
from finecal.registry.packages import packaged_plugins

# What a module must define.
NEEDED = {
    "dataset": (),  # `finecal.datasets.check_plugin` says what
    "recipe": ("Options", "Recipe"),
    "calibrator": ("Options", "Calibrator", "READS"),
    "table": ("NEEDS", "build", "present"),
    "figure": ("NEEDS", "draw"),
}
# The methods that its class of this name must have.
METHODS = {"Recipe": ("prepare", "loss", "finish"), "Calibrator": ("fit", "apply")}
# What it may say of itself in words.
WORDS = ("PAPER", "LICENCE", "CITATION")


def load(kind: str, name: str) -> ModuleType:
    """Import the module of a plugin and check it.

    Raises
    ------
    UserError
        If there is none of this name; if it fails to import or lacks what its kind needs; or if `check_plugin` of its
        kind's package refuses it.
    """
    if is_own(name):
        return _load_own(kind, source_file(kind, name))
    if name in built_in_names(kind):
        return _load_module(kind, f"finecal.{KINDS[kind]}.{name}", "")
    file = source_file(kind, name)
    plugin = packaged_plugins(kind, built_in_names(kind))[name]
    try:
        return _load_module(kind, plugin.module, f" (package {plugin.distribution!r})")
    except UserError:
        raise
    except Exception as error:
        raise _cannot_import(error, file, plugin.where) from error


@cache
def _load_module(kind: str, module: str, origin: str) -> ModuleType:
    loaded = importlib.import_module(module)
    check_module(kind, loaded, f"{loaded.__file__}{origin}")
    return loaded


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
        raise _cannot_import(error, file) from error
    check_module(kind, module, str(file))
    return module


def _cannot_import(error: Exception, file: Path, what: str = "") -> UserError:
    frames = traceback.extract_tb(error.__traceback__)[::-1]
    line = next((f":{frame.lineno}" for frame in frames if Path(frame.filename) == file.absolute()), "")
    said = f"{type(error).__name__}: {error}"
    return UserError(
        f"{what} cannot be imported, {said}" if what else said,
        where=f"{file}{line}",
        why="It must import without an error",
    )


def check_module(kind: str, module: ModuleType, where: str) -> None:
    """Check what the module of a plugin defines; `where` says which it is in errors.

    Raises
    ------
    UserError
        If something that its kind needs is missing or is of another type, or `check_plugin` of its kind's package, if
        there is one, refuses it.
    """
    from pydantic import BaseModel  # not at the top: descriptions are read without it

    missing = [attribute for attribute in NEEDED[kind] if not hasattr(module, attribute)]
    if missing:
        raise UserError(f"this file defines no {', no '.join(missing)}", where=where, why=f"A {kind} needs it")
    for name in NEEDED[kind]:
        value = getattr(module, name)
        if name == "Options" and not (isinstance(value, type) and issubclass(value, BaseModel)):
            raise UserError("Options is no pydantic model", where=where, why="Derive it from `finecal.Model`")
        if not name.isupper() and not callable(value):
            raise UserError(f"{name} is {value!r}", where=where, why="It must be a class or a function")
        for method in METHODS.get(name, ()):
            if not callable(getattr(value, method, None)):
                raise UserError(f"{name} has no method {method!r}", where=where, why=f"A {kind} needs it")
    for name in WORDS:
        if not isinstance(words := getattr(module, name, ""), str):
            raise UserError(f"{name} is {words!r}", where=where, why="It must be text")
    package = importlib.import_module(f"finecal.{KINDS[kind]}")
    check: Callable[[ModuleType, str], None] | None = getattr(package, "check_plugin", None)
    if check is not None:
        check(module, where)
