"""timm with those of its architectures that are used: it has 90 modules of them, and `import timm` imports each.

Within `lean_imports`, `import timm` imports everything but (nearly all of) the modules of architectures. From then on

* a model is imported with its module when timm is asked for it by name (`timm.create_model`, `timm.is_model`, …);
* all are imported, as `import timm` would have done, as soon as timm is asked for lists of models, for a name that no
  module registers, or `timm.models` for something that it does not have yet.

What timm returns is the same either way. Only who reads the dictionaries behind its functions finds them with some of
their entries. Where timm is written otherwise than it was in the version that was looked at, all is imported at once.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from importlib.machinery import SourceFileLoader
from threading import RLock
from types import ModuleType
from typing import Any

from finecal.models import timm_names
from finecal.runtime.import_hooks import executed_otherwise
from finecal.runtime.without_dynamo import WITHOUT_DYNAMO

MODELS = "timm.models"
REGISTRY = "timm.models._registry"
# The public functions of timm's registry: those that take a model's name first, those that list, and those that neither
# read its entries nor could miss one.
BY_NAME = (
    "is_model", "model_entrypoint", "is_model_in_modules", "is_model_pretrained", "get_pretrained_cfg",
    "get_pretrained_cfg_value", "get_arch_pretrained_cfgs",
)  # fmt: skip
LISTS = ("list_models", "list_pretrained", "list_modules", "get_deprecated_models")
OTHERS = (
    "split_model_name_tag", "get_arch_name", "generate_default_cfgs", "register_model", "register_model_deprecations",
)  # fmt: skip


@contextmanager
def lean_imports() -> Iterator[None]:
    """While the block runs, timm, torchvision and torch import no more than is used, if they are imported."""
    with executed_otherwise({MODELS: _execute_models, **WITHOUT_DYNAMO}):
        yield


def import_architectures(models: Iterable[str]) -> None:
    """Import timm, and the modules of these models; if timm has been imported before, only what is missing.

    Parameters
    ----------
    models
        Names as in a study, with or without a tag of weights. Of `hf-hub:…` and `local-dir:…` nothing is imported,
        since it is read elsewhere what they are; unknown names import all.
    """
    with lean_imports():
        timm = import_module("timm")
        import_module("finecal.models.toy")  # registers finecal's own
        for name in models:
            if ":" not in name:
                timm.is_model(name)


def _execute_models(module: ModuleType, loader: SourceFileLoader) -> None:
    """Execute `timm.models` without its architectures; with them if it is not as expected."""
    path = loader.get_filename(module.__name__)
    tree = ast.parse(loader.get_data(path))
    rest = [node for node in tree.body if not _imports_architecture(node)]
    registry = import_module(REGISTRY)
    public = {
        name
        for name, value in vars(registry).items()
        if getattr(value, "__module__", "") == REGISTRY and not name.startswith("_")
    }
    if len(rest) == len(tree.body) or _has_hooks(rest) or public != {*BY_NAME, *LISTS, *OTHERS}:
        loader.exec_module(module)
        return
    tree.body = rest
    missing = _Missing(module, loader, registry)
    missing.watch()
    try:
        exec(compile(tree, path, "exec", dont_inherit=True), vars(module))
        import_module("timm.data")  # which the first of the architectures imports
    except BaseException:
        missing.unwatch()
        raise


def _imports_architecture(node: ast.stmt) -> bool:
    """Whether a statement is `from .NAME import *` of a module that is no part of timm's machinery.

    Not of those that are called like one of their models, such as `inception_v4`: `timm.models.inception_v4` is the
    model, and the module would take its place if it were imported later.
    """
    if not isinstance(node, ast.ImportFrom) or node.level != 1 or node.names[0].name != "*":
        return False
    name = node.module or "_"
    return not name.startswith("_") and name not in timm_names.called_like_models()


def _has_hooks(statements: Iterable[ast.stmt]) -> bool:
    """Whether anything but imports stands there, such as a `__getattr__` of timm's own."""
    return not all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in statements)


class _Missing:
    """The architectures that are not imported yet: imported when something asks for them."""

    def __init__(self, module: ModuleType, loader: SourceFileLoader, registry: ModuleType) -> None:
        self._module, self._loader, self._registry = module, loader, registry
        self._functions: dict[str, Callable[..., Any]] = {name: getattr(registry, name) for name in (*BY_NAME, *LISTS)}
        self._watching = {name: self._by_name(name) for name in BY_NAME} | {name: self._list(name) for name in LISTS}
        self._lock = RLock()
        self._complete = False

    def watch(self) -> None:
        """Notice what asks for models: functions of the registry, and attributes of `timm.models`."""
        self._exchange(self._functions, self._watching)
        vars(self._module).update(__getattr__=self._attribute, __dir__=self._names)

    def unwatch(self) -> None:
        """Put back what was there, wherever modules of timm have taken it from the registry."""
        self._exchange(self._watching, self._functions)
        for name in ("__getattr__", "__dir__"):
            vars(self._module).pop(name, None)

    @staticmethod
    def _exchange(present: dict[str, Callable[..., Any]], new: dict[str, Callable[..., Any]]) -> None:
        for module in [one for name, one in list(sys.modules.items()) if name.partition(".")[0] == "timm"]:
            for name, function in present.items():
                if vars(module).get(name) is function:
                    setattr(module, name, new[name])

    def _by_name(self, name: str) -> Callable[..., Any]:
        function = self._functions[name]

        @wraps(function)
        def ask(model_name: str, *args: Any, **kwargs: Any) -> Any:
            self._provide(model_name)
            return function(model_name, *args, **kwargs)

        return ask

    def _list(self, name: str) -> Callable[..., Any]:
        function = self._functions[name]

        @wraps(function)
        def ask(*args: Any, **kwargs: Any) -> Any:
            self._import_all()
            return function(*args, **kwargs)

        return ask

    def _attribute(self, name: str) -> Any:
        if not name.startswith("__") or name == "__all__":  # `from timm.models import *` asks for __all__
            self._import_all()
        try:
            return vars(self._module)[name]
        except KeyError:
            raise AttributeError(f"module {MODELS!r} has no attribute {name!r}") from None

    def _names(self) -> list[str]:
        self._import_all()
        return sorted(vars(self._module))

    def _provide(self, model: str) -> None:
        """Import what registers a model, or all if that is not known."""
        entries, name = self._registry._model_entrypoints, self._registry.get_arch_name(model)
        if self._complete or name in entries:
            return
        found = [module for module, models in timm_names.modules().items() if name in models]
        with self._lock:
            if len(found) == 1:
                with self._others_kept():
                    import_module(f"{MODELS}.{found[0]}")
            if name not in entries:
                self._import_all()

    def _import_all(self) -> None:
        """Do what `import timm` does."""
        with self._lock:
            if self._complete:
                return
            self.unwatch()
            try:
                with self._others_kept():
                    self._loader.exec_module(self._module)
            except BaseException:
                self.watch()
                raise
            self._complete = True

    @contextmanager
    def _others_kept(self) -> Iterator[None]:
        """Keep models that others have registered under names of timm's: they came after timm, as far as they know."""
        entries = self._registry._model_entrypoints
        others = {name: one for name, one in entries.items() if not one.__module__.startswith("timm.")}
        yield
        for name, function in others.items():
            if entries[name] is not function:
                self._registry.register_model(function)
