"""What a model is shown of an image file: timm's transform, of which the part before the numbers is made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import nn

from finecal.errors import UserError

# As in timm's configurations; in the order in which they are applied.
PARTS = ("interpolation", "crop_mode", "crop_pct")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")


class Preprocessing(NamedTuple):
    """What is done with an image.

    Attributes
    ----------
    mean, std
        Per channel, in the order red, green, blue; the input is (pixel / 255 − mean) / std.
    framing
        `PARTS` as timm names them; None for a stored square that is resized.
    order
        The order of the channels that weights from elsewhere take, "rgb" or "bgr".
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    framing: dict[str, Any] | None
    order: str


def resolve(
    said: str | Mapping[str, Any] | None,
    config: Mapping[str, Any],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    channels: int,
    image_size: int | None = None,
) -> Preprocessing:
    """Return the preprocessing of a backbone.

    Parameters
    ----------
    said
        The resolved option `preprocessing`: "timm", parts by hand, or None for `stretch`.
    config
        timm's configuration of the weights.
    mean, std
        Those of the configuration.
    image_size
        Side of what the model is shown. If it is the size of the test in the configuration and not that of the
        training, the crop is that of the test.
    """
    by_hand = dict(said) if isinstance(said, Mapping) else {}
    framed = said is not None and by_hand.get("like") != "stretch"
    found = resolve_data_config(
        {}, pretrained_cfg={"input_size": (3, 1, 1), **config}, use_test_size=_is_of_test(config, image_size)
    )
    framing = {name: by_hand.get(name, found[name]) for name in PARTS} if framed else None
    if framing is not None and framing["interpolation"] not in INTERPOLATIONS:
        raise UserError(
            f"the interpolation {framing['interpolation']!r} of the model's configuration is not known",
            where="backbones", why=f"Known are {', '.join(INTERPOLATIONS)}",
            hint="Give it by hand: `preprocessing: {interpolation: …}`",
        )  # fmt: skip
    if framing is not None and not _is_number(framing["crop_pct"]):
        raise _configuration_error("crop_pct", framing["crop_pct"], "It is a number above 0")
    order = by_hand.get("channels", "rgb")
    for name, value in (("mean", mean), ("std", std)):
        if name not in by_hand:
            _check_channels(name, value, channels)
    mean, std = (
        _per_channel(by_hand.get(name, value), channels, order) for name, value in (("mean", mean), ("std", std))
    )
    return Preprocessing(mean, std, framing, order)


def _is_of_test(config: Mapping[str, Any], image_size: int | None) -> bool:
    """Return whether an image has the size that the configuration has for the test alone."""
    sizes = (config.get(name) for name in ("input_size", "test_input_size"))
    train, test = (size[1:] if isinstance(size, (list, tuple)) else () for size in sizes)
    return [*test] == [image_size] * 2 and [*train] != [*test]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < np.inf


def _check_channels(name: str, values: Any, channels: int) -> None:
    """Refuse a mean or a deviation in a configuration that is none of channels between 0 and 1."""
    listed = isinstance(values, (list, tuple)) and len(values) in (1, 3, channels)
    whole = listed and all(_is_number(value) or (name == "mean" and value == 0) for value in values)
    if not whole:
        raise _configuration_error(name, values, "It has a number for each channel, those of `std` above 0")
    if any(value > 1 for value in values):
        raise _configuration_error(name, values, "It is of pixels between 0 and 255, and not of channels from 0 to 1")


def _configuration_error(name: str, value: Any, why: str) -> UserError:
    said = value if isinstance(value, str) else [*value] if isinstance(value, (list, tuple)) else value
    return UserError(
        f"{name!r} of the weights' configuration is {said!r}", where="backbones", why=why,
        hint=f"Correct it there, or give it by hand: `preprocessing: {{{name}: …}}`",
    )  # fmt: skip


def _per_channel(values: tuple[float, ...], channels: int, order: str) -> tuple[float, ...]:
    if channels == 1 and len(values) == 3:
        return (float(np.mean(values)),)
    spread = tuple(values) * channels if len(values) == 1 else tuple(values)
    return spread[::-1] if order == "bgr" else spread


def transform(framing: Mapping[str, Any], mean: tuple[float, ...], side: int) -> Callable[[Image.Image], np.ndarray]:
    """Return timm's transform up to the bytes: image → (side, side, channels) uint8. `border` fills with the mean."""
    shape = (len(mean), side, side)
    steps: Callable[[Image.Image], torch.Tensor] = create_transform(
        shape, is_training=False, normalize=False, mean=mean, **framing
    )
    return lambda image: np.ascontiguousarray(steps(image).permute(1, 2, 0).numpy())


@torch.no_grad()
def take_rgb(model: nn.Module, order: str) -> nn.Module:
    """Turn the first layer of a model around, in place, so that one that takes BGR takes RGB.

    Raises
    ------
    UserError
        If timm does not name its first layer.
    """
    if order == "rgb":
        return model
    config: Any = model.pretrained_cfg
    names = config.get("first_conv")
    if not names:
        raise UserError(
            "the order of the channels cannot be changed", where="preprocessing.channels",
            why="timm does not name the model's first layer (`first_conv`)",
        )  # fmt: skip
    for name in (names,) if isinstance(names, str) else names:
        weight: Any = model.get_submodule(name).weight
        if weight.shape[1] != 3:
            raise UserError("only three channels have an order", where="preprocessing.channels")
        weight.copy_(weight.flip(1))
    return model
