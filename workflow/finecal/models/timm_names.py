"""The names of timm's models and optimisers, read from its source, since importing timm takes seconds in every job."""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

from finecal.errors import UserError, how_to_install, unknown

# Models without one linear layer as the last one, by what they have instead: `finecal.models.build.head` needs it.
OTHER_HEADS = {
    "is an encoder without classifier": r"\w+_enc",
}
# Optimisers of timm that this loop cannot run, and why.
UNFIT = {"adahessian": "needs second derivatives (create_graph=True), which trainings here do not compute"}
# Prefix of timm's names of optimisers that come from another package → the package.
OF_PACKAGES = {"fused": "apex", "bnb": "bitsandbytes"}


@cache
def _timm() -> Path:
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"timm is not installed: {how_to_install('pipeline')}", name="timm")
    return Path(spec.origin).parent


@cache
def _sources() -> tuple[str, ...]:
    files = [*(_timm() / "models").glob("*.py"), Path(__file__).with_name("toy.py")]
    return tuple(file.read_text("utf-8") for file in files)


@cache
def architectures() -> frozenset[str]:
    """Return the names of all models that timm and finecal register with timm, without tags of weights."""
    pattern = re.compile(r"^@register_model(?: +#.*)?\s+def (\w+)\(", re.MULTILINE)
    return frozenset(name for source in _sources() for name in pattern.findall(source))


@cache
def deprecations() -> dict[str, str | None]:
    """Return timm's earlier names of models → the present ones, perhaps with a tag; None for removed models."""
    pattern = re.compile(r"^register_model_deprecations\(__name__, (\{.*?^\})\)", re.MULTILINE | re.DOTALL)
    found: dict[str, str | None] = {}
    for source in _sources():
        for table in pattern.findall(source):
            found |= ast.literal_eval(table)
    return found


def current(name: str) -> str:
    """Return timm's present name of a model, with the tag of weights that an earlier name stood for.

    >>> current("tf_efficientnet_b0_ap"), current("resnet50.a1_in1k")
    ('tf_efficientnet_b0.ap_in1k', 'resnet50.a1_in1k')
    """
    return deprecations().get(name) or name


@cache
def _factory() -> str:
    return (_timm() / "optim" / "_optim_factory.py").read_text("utf-8")


@cache
def optimizers_with_corrected_decay() -> frozenset[str]:
    """Return the names of timm's optimisers whose weight decay follows the learning rate."""
    records = re.findall(r"OptimInfo\(\s*(?:name=)?'(\w+)'(.*?)\n {8}\)", _factory(), re.DOTALL)
    return frozenset(name for name, record in records if "'corrected_weight_decay': True" in record)


@cache
def optimizers() -> frozenset[str]:
    """Return the names of timm's optimiser factory, with its second names for some."""
    source = _factory()
    named = re.findall(r"OptimInfo\(\s*(?:name=)?'(\w+)'", source)
    return frozenset([*named, *re.findall(r"register_alias\('(\w+)'", source)])


def check_optimizer(name: str) -> None:
    """Raise UserError if timm has no such optimiser, or trainings cannot use it."""
    if name not in optimizers():
        raise unknown("optimiser", name, optimizers())
    if name in UNFIT:
        raise UserError(f"the optimiser {name!r} {UNFIT[name]}")
    package = next((package for prefix, package in OF_PACKAGES.items() if name.startswith(prefix)), None)
    if package is not None and importlib.util.find_spec(package) is None:
        raise UserError(f"the optimiser {name!r} is one of {package}, which is not installed")


def is_model(name: str) -> bool:
    """Return whether timm can create a model of this name; a `.tag` of weights is not checked."""
    return name.startswith("hf-hub:") or current(name).partition(".")[0] in architectures()


def check_model(name: str, where: str) -> None:
    """Raise UserError if timm cannot create a model of this name, or it has no linear layer as its head."""
    if name in deprecations() and deprecations()[name] is None:
        raise UserError(f"timm has removed the model {name!r}", where=where)
    if not is_model(name):
        raise unknown("timm model", name, architectures(), where=where, limit=5)
    architecture = current(name).partition(".")[0]
    for what, pattern in OTHER_HEADS.items():
        if re.fullmatch(pattern, architecture):
            raise UserError(
                f"{architecture!r} {what}", where=where,
                why="A model here needs a linear layer on its features as its last one",
            )  # fmt: skip
