"""Execute chosen modules of other packages in another way when they are imported, as long as a block of code runs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

# Fills a new module, in place of `loader.exec_module(module)`.
Execute = Callable[[ModuleType, SourceFileLoader], None]


class _Other(Loader):
    """Loads one module by an `Execute`, and leaves no trace of itself in the module."""

    def __init__(self, loader: SourceFileLoader, execute: Execute) -> None:
        self._loader, self._execute = loader, execute

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader  # what reads a module's source or data asks here
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._execute(module, self._loader)


class _Finder(MetaPathFinder):
    def __init__(self, others: Mapping[str, Execute]) -> None:
        self._others = others

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        execute = self._others.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if execute else None
        if spec is None or execute is None or type(spec.loader) is not SourceFileLoader:
            return None  # found as usual, as what lies in an archive
        spec.loader = _Other(spec.loader, execute)
        return spec


def execute_edited(module: ModuleType, loader: SourceFileLoader, edit: Callable[[ast.stmt], list[ast.stmt]]) -> None:
    """Execute a module with each statement at its top level replaced by those that `edit` makes of it.

    Nothing is written into the cache of byte code, and lines keep their numbers.
    """
    path = loader.get_filename(module.__name__)
    tree = ast.parse(loader.get_data(path))
    tree.body = [new for node in tree.body for new in edit(node)]
    exec(compile(tree, path, "exec", dont_inherit=True), vars(module))


def statements(source: str, place: ast.stmt) -> list[ast.stmt]:
    """Return the statements of a source, to stand in the place of another."""
    return [ast.increment_lineno(node, place.lineno - 1) for node in ast.parse(source).body]


def when_imported(name: str, call: Callable[[ModuleType], None]) -> None:
    """Call a function with a module, now if it has been imported, else right after its import, however late."""
    if name in sys.modules:
        call(sys.modules[name])
        return

    def execute(module: ModuleType, loader: SourceFileLoader) -> None:
        sys.meta_path.remove(finder)
        loader.exec_module(module)
        call(module)

    finder = _Finder({name: execute})
    sys.meta_path.insert(0, finder)


@contextmanager
def executed_otherwise(others: Mapping[str, Execute]) -> Iterator[None]:
    """While the block runs, modules with these full names are executed by these functions if they are imported.

    What has been imported before stays as it is, and so does every module that is not a file of Python source. Blocks
    may be nested.
    """
    finder = _Finder(others)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
