"""Plugins of other installed packages, found by their entry points.

A package names each of its modules in its `pyproject.toml`:

    [project.entry-points."finecal.calibrators"]
    shrink = "my_package.shrink"

Nothing of a package is imported to learn which names it brings, or to read a module's description.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple

from finecal.errors import UserError

# Kind → group of entry points.
GROUPS = {"dataset": "finecal.datasets", "recipe": "finecal.recipes", "calibrator": "finecal.calibrators"}


class PackagedPlugin(NamedTuple):
    """A plugin that an installed package brings: its name, the module that defines it, and the distribution."""

    name: str
    module: str
    distribution: str

    @property
    def where(self) -> str:
        """Say which entry point of which distribution it is."""
        return f"the entry point {self.name} = {self.module!r} of the package {self.distribution!r}"


@cache
def packaged_plugins(kind: str, built_in: tuple[str, ...]) -> dict[str, PackagedPlugin]:
    """Return the plugins of a kind that installed packages bring, by name.

    Parameters
    ----------
    built_in
        The names that are taken.

    Raises
    ------
    UserError
        If two packages bring the same name, a package brings a built-in one, or a name is no Python identifier.
    """
    found: dict[str, PackagedPlugin] = {}
    for plugin in _declared(kind):
        other = found.get(plugin.name)
        if not plugin.name.isidentifier():
            raise UserError(f"{plugin.where} has a name that is no Python identifier", hint=_hint([plugin]))
        if plugin.name in built_in:
            raise UserError(
                f"the {kind} {plugin.name!r} of the package {plugin.distribution!r} has the name of a built-in one",
                where=plugin.where, hint=_hint([plugin]),
            )  # fmt: skip
        if other is not None and other != plugin:
            raise UserError(
                f"the packages {other.distribution!r} and {plugin.distribution!r} both bring a {kind} {plugin.name!r}",
                hint=_hint([other, plugin]),
            )
        found[plugin.name] = plugin
    return found


def _declared(kind: str) -> list[PackagedPlugin]:
    points = _entry_points().select(group=GROUPS[kind]) if kind in GROUPS else ()
    plugins = (PackagedPlugin(p.name, p.value.strip(), p.dist.name if p.dist else "of unknown name") for p in points)
    return sorted(plugins, key=lambda plugin: (plugin.name, plugin.distribution))


@cache
def _entry_points() -> Any:
    """Return the entry points of all installed packages, which takes 20 ms to find: once for all kinds.

    Their type differs between versions of Python; all have `select`.
    """
    from importlib.metadata import entry_points  # a job of a built-in plugin need not import it

    return entry_points()


def _hint(plugins: Iterable[PackagedPlugin]) -> str:
    return f"Uninstall {' or '.join(plugin.distribution for plugin in plugins)}, or ask its authors to rename it"


def packaged_file(plugin: PackagedPlugin) -> Path:
    """Return the file of a package's plugin without importing the package.

    Raises
    ------
    UserError
        If the entry point names no module that there is, or one without Python source.
    """
    spec, path = None, None
    parts = plugin.module.split(".")
    for position in range(len(parts)):
        spec = _find_spec(".".join(parts[: position + 1]), path)
        if spec is None:
            break
        path = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise UserError(
            f"{plugin.where} leads to no Python file", why="It must name a module, such as 'my_package.my_module'"
        )
    return Path(spec.origin)


def _find_spec(module: str, path: list[str] | None) -> ModuleSpec | None:
    """Ask the finders themselves: `importlib.util.find_spec` would import the packages that the module is in."""
    for finder in sys.meta_path:
        spec = finder.find_spec(module, path)
        if spec is not None:
            return spec
    return None
