"""torch without its compiler, `torch._dynamo`, until something is compiled: importing it costs almost as much as torch.

Four modules import it, or much of it, in every job that trains a model, and nothing in such a job uses it:

* `torchvision.ops.roi_align` for a function, which it calls where boxes are pooled deterministically;
* `torch.optim.optimizer` when methods of an optimiser are called, to keep them out of what is compiled;
* `timm.optim.kron` to raise a limit of the compiler;
* `timm.optim.muon` to recognise tensors that are distributed.

Here they import it when they need it, and the limit is raised when the compiler is imported. Where one of them is
written otherwise than it was in the version that was looked at, it is executed as it is.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import wraps
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from finecal.runtime.import_hooks import Execute, execute_edited, statements, when_imported

DYNAMO = "torch._dynamo"
# Statement → what stands in its place. A function that puts the imported one in its own place when it is called:
_IN_ROI_ALIGN = {
    "from torch._dynamo.utils import is_compile_supported": """
def is_compile_supported(device_type):
    global is_compile_supported
    from torch._dynamo.utils import is_compile_supported
    return is_compile_supported(device_type)
""",
}
# A class for `isinstance`: no such tensor exists before its module has been imported.
_IN_MUON = {
    "try:\n    from torch.distributed.tensor import DTensor\n    has_dtensor = True\n"
    "except ImportError:\n    has_dtensor = False": """
class _Imported(type):
    def __instancecheck__(cls, one):
        import sys
        module = sys.modules.get("torch.distributed.tensor")
        return module is not None and isinstance(one, module.DTensor)
class DTensor(metaclass=_Imported):
    pass
has_dtensor = torch.distributed.is_available()
""",
}
_LIMIT = "cache_size_limit"
_IN_KRON = {
    f"try:\n    {DYNAMO}.config.{_LIMIT} = 1000000\n    has_dynamo = True\n"
    "except AttributeError:\n    has_dynamo = False": "has_dynamo = True",
}


def _replacing(replaced: dict[str, str], afterwards: Callable[[], None] = lambda: None) -> Execute:
    """What executes a module with such statements replaced, and then calls a function if all of them were there."""

    def execute(module: ModuleType, loader: SourceFileLoader) -> None:
        found = set()

        def edit(node: ast.stmt) -> list[ast.stmt]:
            source = ast.unparse(node) if isinstance(node, (ast.ImportFrom, ast.Try)) else ""
            if source not in replaced:
                return [node]
            found.add(source)
            return statements(replaced[source], node)

        execute_edited(module, loader, edit)
        if len(found) == len(replaced):
            afterwards()

    return execute


def _raise_limit(dynamo: ModuleType) -> None:
    setattr(dynamo.config, _LIMIT, 1_000_000)


def _execute_optimizer(module: ModuleType, loader: SourceFileLoader) -> None:
    loader.exec_module(module)
    compiler = sys.modules.get("torch._compile")
    for method in vars(getattr(module, "Optimizer", object)).values():
        if compiler and hasattr(method, "__wrapped__") and getattr(method, "__globals__", None) is vars(compiler):
            _call_plainly(method)
    if _names_used(getattr(module, _DIFFERENTIABLE, None)) == _NAMES_USED:
        setattr(module, _DIFFERENTIABLE, _without_breaks(getattr(module, _DIFFERENTIABLE)))


def _call_plainly(excluded: Callable[..., Any]) -> None:
    """Let a function that `torch._disable_dynamo` has made call the one in it, while there is no compiler.

    It keeps what it calls in an attribute of that function, and asks the compiler for it if there is none.
    """
    plain: Any = excluded.__wrapped__  # type: ignore[attr-defined]

    def call(*args: Any, **kwargs: Any) -> Any:
        if DYNAMO not in sys.modules:
            return plain(*args, **kwargs)
        vars(plain).pop("__dynamo_disable", None)  # from here on as torch does it
        return excluded(*args, **kwargs)

    vars(plain).setdefault("__dynamo_disable", call)


# The decorator of `step`: it switches gradients off, and tells the compiler not to look across.
_DIFFERENTIABLE = "_use_grad_for_differentiable"
_NAMES_USED = {
    "torch._dynamo", "_dynamo", "graph_break", "cast", "Optimizer", "is_grad_enabled", "set_grad_enabled", "defaults",
}  # fmt: skip


def _names_used(decorator: Any) -> set[str]:
    """The global names and attributes in the function that a decorator makes."""
    inner = [one for one in getattr(getattr(decorator, "__code__", None), "co_consts", ()) if isinstance(one, CodeType)]
    return {name for one in inner for name in one.co_names}


def _without_breaks(decorator: Callable[..., Any]) -> Callable[..., Any]:
    """The same decorator, without a word to the compiler while there is none."""

    def decorate(step: Callable[..., Any]) -> Callable[..., Any]:
        told = decorator(step)

        @wraps(step)
        def call(*args: Any, **kwargs: Any) -> Any:
            if DYNAMO in sys.modules:
                return told(*args, **kwargs)
            torch = sys.modules["torch"]
            before = torch.is_grad_enabled()
            try:
                torch.set_grad_enabled(args[0].defaults["differentiable"])
                return step(*args, **kwargs)
            finally:
                torch.set_grad_enabled(before)

        return call

    return decorate


WITHOUT_DYNAMO: dict[str, Execute] = {
    "torchvision.ops.roi_align": _replacing(_IN_ROI_ALIGN),
    "torch.optim.optimizer": _execute_optimizer,
    "timm.optim.kron": _replacing(_IN_KRON, lambda: when_imported(DYNAMO, _raise_limit)),
    "timm.optim.muon": _replacing(_IN_MUON),
}
