"""Folders that transformers has written: their preprocessing, and what shapes of tensors do not tell. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import floor, nextafter
from pathlib import Path
from typing import Any

from finecal.errors import UserError
from finecal.io.outside import reading

PREPROCESSOR = "preprocessor_config.json"
RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}  # Pillow's numbers
BY_SHORTER = ("ConvNext", "Bit", "CLIP")  # classes of transformers whose size is that of the shorter side
WITHOUT_CROP = 384


def is_transformers(config: Any) -> bool:
    """Return whether the content of a config.json is transformers' own, not timm's or of a wrapper around timm."""
    return isinstance(config, Mapping) and "model_type" in config and "architecture" not in config


def mean_and_std(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return mean and standard deviation per channel of transformers' preprocessing in a folder; None without one.

    Raises
    ------
    UserError
        If its file cannot be read, or lacks one of them; if its pixels are not divided by 255.
    """
    content, path = _read(folder), folder / PREPROCESSOR
    if content is None:
        return None
    factor = content.get("rescale_factor")
    if content.get("do_rescale") is False or (factor is not None and not _is_255th(factor)):
        raise UserError(
            "its pixels are not divided by 255", where=str(path), why="`do_rescale` and `rescale_factor` say so",
            hint="Say what the model is shown by hand, `preprocessing: {mean: …, std: …}`, and take this file away",
        )  # fmt: skip
    try:
        if content.get("do_normalize") is False:
            return (0.0,) * 3, (1.0,) * 3
        mean, std = (tuple(map(float, content[key])) for key in ("image_mean", "image_std"))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UserError(f"it does not say `image_mean` and `image_std` ({error})", where=str(path)) from error
    return mean, std


def framing(folder: Path) -> dict[str, Any]:
    """Return how transformers takes a square from an image, in timm's words; without its file, or words, nothing.

    Its classes resize both sides (`height`, `width`) or the shorter one (`shortest_edge`), and may then take the middle
    (`crop_size`). That of ConvNeXt and ResNet takes the middle of an image resized to the `crop_pct`-th part more, and
    from 384 pixels on resizes both sides.
    """
    content = _read(folder) or {}
    kind = str(content.get("image_processor_type") or content.get("feature_extractor_type") or "")
    shorter, both = _sides(content.get("size"), kind)
    crop = _sides(content.get("crop_size"), "")[1] if content.get("do_center_crop") else None
    part = content.get("crop_pct")
    found: dict[str, Any] = {}
    side: int | None
    if content.get("do_resize") is False or not (shorter or both):
        return found
    if kind.startswith("ConvNext") and shorter:
        large = shorter >= WITHOUT_CROP
        part = part if isinstance(part, float) and 0 < part <= 1 else 224 / 256
        side, found = shorter, {"crop_mode": "squash" if large else "center", "crop_pct": 1.0 if large else part}
    else:
        resized, side = shorter or both or 1, crop or both
        if side is None:  # the longer side is as long as it is: no square
            return found
        found = {"crop_mode": "center" if shorter else "squash", "crop_pct": _part(side, resized)}
    method = content.get("resample", 2)
    if isinstance(method, int) and method in RESAMPLING:
        found["interpolation"] = RESAMPLING[method]
    return {**found, "input_size": (3, side, side)}


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / PREPROCESSOR
    if not path.is_file():
        return None
    content: Any = None
    with reading(path, "JSON"):
        content = json.loads(path.read_text("utf-8"))
    if not isinstance(content, dict):
        raise UserError("it does not say `image_mean` and `image_std` (it is no mapping)", where=str(path))
    return content


def _is_255th(factor: Any) -> bool:
    return isinstance(factor, float) and abs(255 * factor - 1) < 1e-3


def _sides(size: Any, kind: str) -> tuple[int | None, int | None]:
    """Return the length of the shorter side, and of both, of which one is None."""
    if isinstance(size, int) and kind:  # as before 2022, when the class decided what it means
        size = {"shortest_edge": size} if kind.startswith(BY_SHORTER) else {"height": size, "width": size}
    elif isinstance(size, int):
        size = {"height": size, "width": size}
    if not isinstance(size, dict):
        return None, None
    shorter, height, width = (size.get(key) for key in ("shortest_edge", "height", "width"))
    lengths = [one if isinstance(one, int) and 0 < one < 2**20 else None for one in (shorter, height, width)]
    return lengths[0], lengths[1] if lengths[1] == lengths[2] else None


def _part(side: int, resized: int) -> float:
    """Return the part with which timm, which rounds down, resizes to exactly so many pixels."""
    part = side / resized
    return part if floor(side / part) == resized else nextafter(part, 0)


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
