"""The names of timm's models and optimisers, read from its source, since importing timm takes seconds in every job."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model(?: +#.*)?\s+def (\w+)\(", re.MULTILINE)


@cache
def _timm() -> Path:
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("timm is not installed")
    return Path(spec.origin).parent


@cache
def _read_models() -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    found, hiding = {}, set()
    for file in sorted((_timm() / "models").glob("*.py")):
        source, name = file.read_text("utf-8"), file.stem
        found[name] = frozenset(_REGISTERED.findall(source))
        if name in found[name] or f"    '{name}': " in source:
            hiding.add(name)
    return found, frozenset(hiding)


def modules() -> dict[str, frozenset[str]]:
    """Return module of `timm.models` → the names of the models that it registers, without tags of weights."""
    return _read_models()[0]


def called_like_models() -> frozenset[str]:
    """Return the modules of `timm.models` that have a model, or an earlier name of one, with their own name."""
    return _read_models()[1]


@cache
def architectures() -> frozenset[str]:
    """Return the names of all models that timm and finecal register with timm, without tags of weights."""
    own = _REGISTERED.findall(Path(__file__).with_name("toy.py").read_text("utf-8"))
    return frozenset(own).union(*modules().values())


@cache
def optimizers() -> frozenset[str]:
    """Return the names of timm's optimiser factory."""
    source = (_timm() / "optim" / "_optim_factory.py").read_text("utf-8")
    return frozenset(re.findall(r"OptimInfo\(\s*name='(\w+)'", source))


def is_model(name: str) -> bool:
    """Return whether timm can create a model of this name; a `.tag` of weights is not checked."""
    return name.startswith("hf-hub:") or name.partition(".")[0] in architectures()
