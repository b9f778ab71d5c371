"""Faster imports of large libraries, and fewer of them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

PANDAS = "pandas"


@contextmanager
def large_imports() -> Iterator[None]:
    """Switch off the garbage collector during the imports in the block, and exempt their objects from it afterwards.

    timm creates a million objects that live as long as the process; collecting among them takes a quarter of the
    import's time. Where pyarrow is imported and pandas is not, pyarrow then does without (`no_pandas_yet`).
    """
    gc.disable()
    try:
        yield
        no_pandas_yet()
    finally:
        gc.freeze()
        gc.enable()


def no_pandas_yet() -> None:
    """Keep pyarrow from importing pandas, until something else does.

    pyarrow imports it at the first `pa.array`, to see whether what it was given is a Series: 0.3 s of CPU time and
    30 MiB for a job that has no pandas. While nobody has imported pandas there is no Series. Once somebody has, pyarrow
    is told, and behaves as it always does; what needs pandas, such as `to_pandas`, imports it itself. Without pyarrow
    nothing happens.
    """
    # Nothing is set: `_pandas_api` looks once whether pandas is there, and again where it cannot do without.
    shim = getattr(sys.modules.get("pyarrow.lib"), "_pandas_api", None)
    if shim is None or PANDAS in sys.modules or any(isinstance(one, _Told) for one in sys.meta_path):
        return
    told = _Told(shim)
    sys.meta_path.insert(0, told)
    if shim.have_pandas:  # it has looked before
        sys.meta_path.remove(told)
    told.refuses = False


class _Told(MetaPathFinder, Loader):
    """Imports pandas as Python does, and tells pyarrow.

    Parameters
    ----------
    shim
        What pyarrow knows of pandas.
    """

    def __init__(self, shim: Any) -> None:
        self.refuses = True  # whether pandas cannot be imported
        self._shim = shim
        self._loader: Loader | None = None

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != PANDAS:
            return None
        if self.refuses:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            sys.meta_path.insert(0, self)
            return spec
        self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        assert self._loader is not None
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert self._loader is not None
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader  # templates and the like are found through it
        try:
            self._loader.exec_module(module)
        except BaseException:
            sys.meta_path.insert(0, self)
            raise
        self._shim.pd  # noqa: B018 - it looks again
