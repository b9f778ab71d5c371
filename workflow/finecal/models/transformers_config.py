"""Folders that transformers has written: their preprocessing, and what shapes of tensors do not tell. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finecal.errors import UserError
from finecal.io.outside import reading

PREPROCESSOR = "preprocessor_config.json"


def is_transformers(config: Any) -> bool:
    """Return whether the content of a config.json is transformers' own, not timm's or of a wrapper around timm."""
    return isinstance(config, Mapping) and "model_type" in config and "architecture" not in config


def mean_and_std(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return mean and standard deviation per channel of transformers' preprocessing in a folder; None without one.

    Raises
    ------
    UserError
        If its file cannot be read, or lacks one of them.
    """
    path = folder / PREPROCESSOR
    if not path.is_file():
        return None
    try:
        with reading(path, "JSON"):
            content = json.loads(path.read_text("utf-8"))
        if content.get("do_normalize") is False:
            return (0.0,) * 3, (1.0,) * 3
        mean, std = (tuple(map(float, content[key])) for key in ("image_mean", "image_std"))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(f"it does not say `image_mean` and `image_std` ({error})", where=str(path)) from error
    return mean, std


def describe_difference(config: Mapping[str, Any], model: Any) -> str:
    """Say what the configuration has otherwise than a model of timm, where shapes do not tell; empty if nothing."""
    heads = config.get("num_attention_heads", config.get("num_heads"))
    found: Any = [module.num_heads for module in model.modules() if isinstance(getattr(module, "num_heads", None), int)]
    if isinstance(heads, list):
        heads, found = sorted(set(heads)), sorted(set(found))
    elif heads is not None and found:
        found = found[0]
    if heads is not None and found and heads != found:
        return f"Its attention has {_listed(heads)} heads, this model's {_listed(found)}"
    act, names = config.get("hidden_act"), {type(module).__name__.lower() for module in model.modules()}
    known = {"gelu": "gelu", "relu": "relu", "silu": "silu", "swish": "silu", "quick_gelu": "quickgelu"}
    if isinstance(act, str) and not config.get("use_swiglu_ffn") and known.get(act, act) not in names:
        return f"Its activation is {act}, which this model does not have"
    if config.get("model_type") == "swinv2" and (problem := _describe_windows(config, model)):
        return problem
    if config.get("downsample_in_bottleneck"):
        return "Its first convolution of a bottleneck has the stride (`downsample_in_bottleneck`), timm's second has it"
    return ""


def _describe_windows(config: Mapping[str, Any], model: Any) -> str:
    """Compare the windows of SwinV2's attention, which have no tensor whose shape would tell."""
    blocks = [module for module in model.modules() if hasattr(module, "target_shift_size")]
    given = config.get("window_size")
    if isinstance(given, int) and any(
        block.attn.window_size[0] != min(given, block.input_resolution[0]) for block in blocks
    ):
        return f"Its windows have {given} × {given} patches, this model's {' × '.join(map(str, blocks[0].window_size))}"
    found = [next(iter(stage.blocks)).attn.pretrained_window_size[0] for stage in getattr(model, "layers", [])]
    before = config.get("pretrained_window_sizes")
    if isinstance(before, list) and before[: len(found)] != found:  # by default there are zeros for four stages
        return f"Its windows of the pretraining are {_listed(before)}, this model's {_listed(found)}"
    return ""


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
