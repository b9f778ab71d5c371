"""The names of timm's models and optimisers, read from its source, since importing timm takes seconds in every job."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path


@cache
def _timm() -> Path:
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("timm is not installed", name="timm")
    return Path(spec.origin).parent


@cache
def architectures() -> frozenset[str]:
    """Return the names of all models that timm and finecal register with timm, without tags of weights."""
    pattern = re.compile(r"^@register_model(?: +#.*)?\s+def (\w+)\(", re.MULTILINE)
    files = [*(_timm() / "models").glob("*.py"), Path(__file__).with_name("toy.py")]
    return frozenset(name for file in files for name in pattern.findall(file.read_text("utf-8")))


@cache
def optimizers() -> frozenset[str]:
    """Return the names of timm's optimiser factory."""
    source = (_timm() / "optim" / "_optim_factory.py").read_text("utf-8")
    return frozenset(re.findall(r"OptimInfo\(\s*name='(\w+)'", source))


def is_model(name: str) -> bool:
    """Return whether timm can create a model of this name; a `.tag` of weights is not checked."""
    return name.startswith("hf-hub:") or name.partition(".")[0] in architectures()
