"""What weights say of the model that they were trained in: compared by its logits, since shapes may not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from finecal.errors import UserError
from finecal.models import timm_names
from finecal.models.build import Architecture, build
from finecal.models.statements import OF_THE_DATA
from finecal.models.whole_loading import FAILURES

# Arguments of timm's `train.py` → how `timm.create_model` calls them.
_OPTIONS = {"gp": "global_pool", "bn_eps": "bn_eps"}
BY_ARGUMENTS = "the arguments of its training"
_PREPARED = ("mean", "std", "crop_pct", "interpolation")


@dataclass(frozen=True)
class Stated:
    """timm's name of a model and its arguments, and how images were prepared, as far as it is said; and by what."""

    by: str
    model: str | None
    options: dict[str, Any]
    preparation: dict[str, Any] = field(default_factory=dict)
    image_size: int | None = None


def of_arguments(arguments: Mapping[str, Any], arch: str | None) -> Stated | None:
    """Return what the arguments of timm's or torchvision's `train.py` say, or the name at `arch`; None for others."""
    name = arguments.get("model")
    known = name if _is_model(name) else None
    if isinstance(arguments.get("val_crop_size"), int) and isinstance(arguments.get("val_resize_size"), int):
        return Stated(BY_ARGUMENTS, known, {}, _of_torchvision(arguments), arguments["val_crop_size"])
    if known is None:
        return Stated("`arch`", arch, {}) if _is_model(arch) else None
    options = {option: arguments[key] for key, option in _OPTIONS.items() if arguments.get(key) is not None}
    options |= _of_the_model(arguments.get("model_kwargs"))
    given = {key: arguments[key] for key in _PREPARED if arguments.get(key)}
    size, shape = arguments.get("img_size"), arguments.get("input_size")
    if size is None and isinstance(shape, (list, tuple)) and len(shape) == 3:
        size = shape[1]
    return Stated(BY_ARGUMENTS, known, options, given, size if isinstance(size, int) else None)


def _of_torchvision(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return how its scripts prepare images for the evaluation: the shorter side, the middle, ImageNet's numbers."""
    said = {"interpolation": method} if (method := arguments.get("interpolation")) else {}
    part = arguments["val_crop_size"] / max(1, arguments["val_resize_size"])
    return {**said, "crop_pct": part, "mean": IMAGENET_DEFAULT_MEAN, "std": IMAGENET_DEFAULT_STD}


def of_config(config: Mapping[str, Any]) -> Stated | None:
    """Return what timm's config.json beside weights says."""
    name, options = config.get("architecture"), _of_the_model(config.get("model_args"))
    return Stated("its config.json", name, options) if _is_model(name) else None


def _of_the_model(arguments: Any) -> dict[str, Any]:
    given = arguments.items() if isinstance(arguments, Mapping) else ()
    return {key: value for key, value in given if isinstance(key, str) and key not in OF_THE_DATA}


def _is_model(name: Any) -> bool:
    return isinstance(name, str) and ":" not in name and timm_names.is_model(name)


def check_stated(stated: Stated | None, description: Architecture, model: nn.Module, file: Path) -> None:
    """Refuse weights that would give other logits in the model that they say to be of; options of the study go before.

    Raises
    ------
    UserError
        If so.
    """
    if stated is None:
        return
    options = {key: value for key, value in stated.options.items() if key not in description.options}
    own = timm_names.current(description.model).partition(".")[0]
    name = timm_names.current(stated.model or own).partition(".")[0]
    if name == own and not options:
        return
    model_of = description.model if name == own else name
    theirs = _logits(replace(description, model=model_of, options=description.options | options), model)
    ours = _run(model, description)
    if theirs is None or torch.allclose(theirs, ours, rtol=1e-3, atol=1e-4 * float(ours.abs().max())):
        return
    said = [f"`model: {name}`"] * (name != own) + [f"`{key}: {value}`" for key, value in options.items()]
    raise UserError(
        f"these weights would give other logits than where they were trained, by {stated.by}: {', '.join(said)}",
        where=str(file),
        hint="Say the same at the backbone: `model`, and the rest as `options`, which go before if they say otherwise. "
        "If the name is not that of this model, save the state dict alone",
    )  # fmt: skip


def _logits(other: Architecture, model: nn.Module) -> torch.Tensor | None:
    """Return the logits of the other model with these weights; None if it cannot have them."""
    try:
        with torch.random.fork_rng(devices=[]):
            built = build(other, weights="random")
        built.load_state_dict(model.state_dict())
    except FAILURES:
        return None
    return _run(built, other)


@torch.no_grad()
def _run(model: nn.Module, description: Architecture) -> torch.Tensor:
    shape = (2, description.channels, description.image_size, description.image_size)
    was_training = model.training
    logits: torch.Tensor = model.eval()(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    model.train(was_training)
    return logits
