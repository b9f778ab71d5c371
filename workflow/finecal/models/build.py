"""Create timm models, run them, and access their head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

import finecal.models.toy  # noqa: F401 - registers finecal_mlp
from finecal.errors import UserError, unknown
from finecal.models.grey import read_colours_as_grey
from finecal.models.heads import (
    POOLED_TWICE,
    attach_cosine_head,
    insert_projection,
    is_pooled_twice,
    pool_token_and_mean,
)
from finecal.models.joined_heads import join_classifiers, layers_of
from finecal.models.last_layer import compute_features, find_last_layer, take_convolution_as_linear
from finecal.models.locations import HUB, transform_config
from finecal.models.preprocessing import resolve
from finecal.models.statements import OF_THE_DATA, as_channels, folder_statement, read_timm_source
from finecal.models.whole_loading import whole_loading


@dataclass(frozen=True)
class Architecture:
    """What is needed to build a model and to prepare its input.

    Attributes
    ----------
    model
        timm's name.
    options
        Further arguments of `timm.create_model`.
    classes
        Names of the classes, by number; one row of the head for each.
    channels, image_size
        The input is (N, channels, image_size, image_size).
    mean, std
        Per channel; the input is (pixel / 255 − mean) / std.
    head
        "linear", timm's own, or "cosine".
    head_scale, learn_head_scale
        Of a cosine head: its initial scale, and whether the scale is trained.
    projection
        Width of a linear layer before the head, as in CLIP's image towers; 0 without one.
    framing
        How a square is taken from an image file (`finecal.models.preprocessing.PARTS`); None for a stored square that
        is resized to `image_size`.
    order
        The order of the channels that checkpoints of this model take, "rgb" or "bgr"; the model that is built from
        them takes RGB.
    """

    model: str
    options: dict[str, Any]
    classes: tuple[str, ...]
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    head: str = "linear"
    head_scale: float = 16.0
    learn_head_scale: bool = True
    projection: int = 0
    framing: dict[str, Any] | None = None
    order: str = "rgb"


def architecture(backbone: Mapping[str, Any], classes: Sequence[str], channels: int) -> Architecture:
    """Return the architecture of a study's backbone for a data set, with timm's mean and standard deviation.

    Parameters
    ----------
    backbone
        `model`, `options`, `image_size` and the options of the head, as in the plan.
    """
    name, options = backbone["model"], dict(backbone["options"])
    config: Mapping[str, Any] | None
    if ":" in name:
        name, given, config = read_timm_source(name)
        options = {key: value for key, value in given.items() if key not in OF_THE_DATA} | options
    else:
        found = _config(name)
        config = found.to_dict() if found else None
        if (stated := folder_statement(backbone.get("weights"), name)) is not None:
            options = stated.arguments | options
            config = {**(config or {}), **stated.preprocessing}
    if backbone.get("weights"):
        config = transform_config(backbone["weights"]) or config
    if config is None:  # finecal's own models
        config = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    said = resolve(
        backbone.get("preprocessing"), config, as_channels(config.get("mean", IMAGENET_DEFAULT_MEAN)),
        as_channels(config.get("std", IMAGENET_DEFAULT_STD)), channels, backbone["image_size"],
    )  # fmt: skip
    head_options = {name: backbone[name] for name in ("head", "head_scale", "learn_head_scale") if name in backbone}
    return Architecture(
        name, options, tuple(classes), channels, backbone["image_size"], **said._asdict(), **head_options
    )  # fmt: skip


def build(description: Architecture, *, weights: str, overlay: Mapping[str, Any] | None = None) -> nn.Module:
    """Create the timm model; random weights are drawn from torch's global generator.

    Parameters
    ----------
    weights
        "random"; "hub" for timm's weights of the model's name; or `hf-hub:ORGANISATION/NAME`. A fetched head is
        replaced if the number of classes differs.
    overlay
        Changes to timm's configuration of the weights; the weights that it names are then loaded.

    Raises
    ------
    UserError
        If the model does not take the options, the weights cannot be fetched, or the model has no linear head.
    """
    model = build_of_timm(description, weights=weights, overlay=overlay)
    if is_pooled_twice(description.options):
        pool_token_and_mean(model, len(description.classes))
    join_classifiers(model)
    take_convolution_as_linear(model)
    linear = head(model)
    several = layers_of(model) is not None or linear is not model.get_classifier()  # type: ignore[operator]
    if description.head == "cosine" and several:
        raise UserError(
            f"{description.model!r} cannot have a cosine head", where="backbones", why="Its head has several layers"
        )  # fmt: skip
    if description.projection:
        linear = insert_projection(model, linear, description.projection)
    if description.head == "cosine":
        attach_cosine_head(model, linear, scale=description.head_scale, learned=description.learn_head_scale)
    return model


def build_of_timm(description: Architecture, *, weights: str, overlay: Mapping[str, Any] | None = None) -> nn.Module:
    """Create timm's own model, as `build` does, before anything about its head is changed."""
    options = {k: v for k, v in description.options.items() if (k, v) != POOLED_TWICE}
    if _has_fixed_input(description.model):
        options["img_size"] = description.image_size
    try:
        with whole_loading():
            model: nn.Module = timm.create_model(
                weights if weights.startswith(HUB) else description.model,
                pretrained=weights != "random" or overlay is not None,
                pretrained_cfg_overlay=dict(overlay) if overlay is not None else None,
                num_classes=len(description.classes),
                in_chans=description.channels,
                **options,
            )
    except (TypeError, ValueError, AssertionError) as error:
        raise UserError(
            f"timm cannot create {description.model!r} with {options}: {error}", where="backbones"
        ) from error
    except (OSError, RuntimeError) as error:
        if weights == "random":
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"the weights of {description.model!r} could not be fetched ({reason})",
            where="pretraining.weights",
            hint="On a machine without network, fetch them before on one with network, into the same cache (HF_HOME)",
        ) from error
    if description.channels == 3:
        read_colours_as_grey(model)
    return model


def _has_fixed_input(name: str) -> bool:
    config = _config(name)
    return bool(config and config.fixed_input_size)


def _config(name: str) -> Any:
    """Return timm's configuration of a model, None if it is on the hub only; UserError for an unknown weights tag."""
    try:
        return timm.get_pretrained_cfg(name, allow_unregistered=True) if ":" not in name else None
    except RuntimeError as error:
        known = timm.list_models(f"{name.partition('.')[0]}.*", pretrained=True)
        raise unknown("weights", name, known, where="backbones") from error


def head(model: nn.Module) -> nn.Linear:
    """Return the last layer, a linear one or a `CosineHead` in its place; its rows belong to the classes.

    Raises
    ------
    UserError
        If it is of another kind.
    """
    last = find_last_layer(model)
    if last is None:
        kind = type(model.get_classifier()).__name__  # type: ignore[operator]
        raise UserError(f"the head is a {kind}", where="backbones", why="Only linear heads are supported")
    return last


def head_classes(model: nn.Module) -> int:
    """Return how many classes timm's weights of the model were trained for, whatever its head has now."""
    config: Any = model.pretrained_cfg
    return int(config["num_classes"])


def forward(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the features and logits of a batch.

    Parameters
    ----------
    images
        (N, channels, H, W) float32, normalised.

    Returns
    -------
    The features (N, D), which the head reads, and the logits (N, C) float32.
    """
    features = compute_features(model, head(model), images)
    return features, logits_of(model, features)


def logits_of(model: nn.Module, features: Tensor) -> Tensor:
    """Compute logits (N, C) of features (N, D), in float32: γ lies between logits, which 16 bits would make equal."""
    with torch.autocast(features.device.type, enabled=False):
        logits: Tensor = head(model)(features.float())
    return logits


def normaliser(description: Architecture, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation as (1, channels, 1, 1) float32 tensors on the device."""
    shape = (1, description.channels, 1, 1)
    mean = torch.tensor(description.mean, device=device).reshape(shape)
    return mean, torch.tensor(description.std, device=device).reshape(shape)
