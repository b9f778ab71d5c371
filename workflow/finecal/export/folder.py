"""Write the calibrated classifier as a folder that timm loads.

A calibrator that scales and shifts logits is folded into the head if the head is linear with a bias. Otherwise the
folder holds the model without its calibration, and `calibrated.py` in it applies the calibration.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import timm
import torch
from PIL import Image
from timm.models import _hub
from torch import Tensor, nn

from finecal.calibration.deployment import AFFINE
from finecal.errors import UserError
from finecal.models.build import Architecture, head
from finecal.models.files import separate_tensors
from finecal.models.heads import POOLED_TWICE, CosineHead, is_pooled_twice
from finecal.models.joined_heads import layers_of, split_state
from finecal.models.locations import CONFIG

FORMAT = "finecal.calibration/1"
WRAPPER = "calibrated.py"
PREPARE = "prepare.py"


def write_model(
    folder: Path, model: nn.Module, description: Architecture, form: Mapping[str, Any], pretrained: nn.Module | None
) -> bool:
    """Write config.json, model.safetensors, calibration.json and, if nothing is folded, `calibrated.py` and its files.

    Parameters
    ----------
    model
        The fine-tuned model; changed in place if the calibrator is folded into it.
    form
        From `finecal.calibration.deployment.export_form`, with `calibrator`, `reads`, the mask `fine_tuning`, and
        `stored`: `size` and `fit` of the squares as which image files were stored first, None if they were not.
    pretrained
        The second model of an ensemble.

    Returns
    -------
    Whether the calibrator is folded: then timm alone loads the calibrated classifier.

    Raises
    ------
    UserError
        If timm does not have the model.
    """
    check_is_timm_model(description)
    rows: dict[str, Tensor] = {}
    heads: dict[str, float] = {}
    models = {"head": (folder, model), "pretrained_head": (folder / "pretrained", pretrained)}
    folded = form["kind"] == AFFINE and fold(model, form["scale"], form["shift"])
    for name, (place, one) in models.items():
        if one is None:
            continue
        last = head(one)
        if isinstance(last, CosineHead):
            rows[name], heads[name] = last.weight.detach(), float(last.scale.detach())
        write_timm_folder(place, one, description)
    if form["kind"] == "cosine":
        given = form["rows"]
        own = head(model).weight.detach()
        rows["rows"] = own if given is None else torch.as_tensor(given, dtype=torch.float32).reshape(own.shape)
    if rows:
        tensors = {name: tensor.float().clone().contiguous() for name, tensor in rows.items()}
        (folder / "rows.safetensors").write_bytes(safetensors.torch.save(tensors))
    described = {"format": FORMAT, "folded": folded, "classes": description.classes, **form, "cosine_heads": heads}
    described.pop("rows", None)
    if (layers := layers_of(model)) is not None:
        described["shares"] = layers.shares_of_features(model.state_dict())
    text = json.dumps(described, indent=1, ensure_ascii=False, default=_plain)
    (folder / "calibration.json").write_text(f"{text}\n", "utf-8")
    shutil.copyfile(Path(__file__).with_name(PREPARE), folder / PREPARE)
    if not folded:
        shutil.copyfile(Path(__file__).with_name("standalone.py"), folder / WRAPPER)
    return folded


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} in calibration.json")


def check_is_timm_model(description: Architecture) -> None:
    """Raise UserError for a model that finecal itself makes or changes: timm without finecal cannot load it."""
    name = description.model
    if not timm.models.model_entrypoint(name).__module__.startswith("timm."):
        raise UserError(f"{name!r} cannot be exported", why="It is finecal's own model, which timm alone cannot load")
    if is_pooled_twice(description.options):
        raise UserError(
            f"{name!r} with `{': '.join(POOLED_TWICE)}` cannot be exported", why="timm alone has no such pooling"
        )


@torch.no_grad()
def fold(model: nn.Module, scale: np.ndarray, shift: np.ndarray) -> bool:
    """Fold z′ = scale · z + shift into the head: W′ = scale · W, b′ = scale · b + shift.

    Parameters
    ----------
    model
        Its head is changed in place.
    scale, shift
        (C,) float64.

    Returns
    -------
    Whether the head can hold it: False, and nothing is changed, for a cosine head and for a head without bias.
    """
    last = head(model)
    if isinstance(last, CosineHead) or last.bias is None:
        return False
    a, b = torch.from_numpy(scale), torch.from_numpy(shift)
    last.weight.copy_(a[:, None] * last.weight.double())
    last.bias.copy_(a * last.bias.double() + b)
    return True


def write_timm_folder(folder: Path, model: nn.Module, description: Architecture) -> None:
    """Write what `timm.create_model("local-dir:FOLDER", pretrained=True)` loads.

    timm has no cosine head, so a model with one is written without its head (num_classes=0). A projection before a
    cosine head is written as the linear head, as in timm's CLIP image towers.
    """
    cosine = isinstance(head(model), CosineHead)
    outputs = description.projection if cosine else len(description.classes)
    body = timm.create_model(
        description.model, num_classes=outputs, in_chans=description.channels, **description.options,
        **_size_option(description),
    )  # fmt: skip
    state = split_state(model.state_dict(), layers_of(model))
    if description.projection:
        state |= {"head.weight": state["fc_norm.weight"], "head.bias": torch.zeros(outputs)}
    body.load_state_dict({name: state[name] for name in body.state_dict()})
    labels = {} if cosine else {"label_names": list(description.classes)}
    folder.mkdir(exist_ok=True, parents=True)
    # timm's `save_for_hf` would fail for tensors that share memory, and make a file that only its owner can read.
    (folder / "model.safetensors").write_bytes(safetensors.torch.save(separate_tensors(body), {"format": "pt"}))
    config = folder / CONFIG
    _hub.save_config_for_hf(body, str(config), model_config=labels, data_config=preprocessing(description))
    _open_in_transformers(config)


def _open_in_transformers(config: Path) -> None:
    """Leave the number of classes out of the arguments that timm writes; it stands twice besides.

    transformers hands it to timm itself, and fails where it is among them.
    """
    content = json.loads(config.read_text("utf-8"))
    content["model_args"].pop("num_classes", None)
    config.write_text(f"{json.dumps(content, indent=2)}\n", "utf-8")


def _size_option(description: Architecture) -> dict[str, int]:
    config = timm.get_pretrained_cfg(description.model, allow_unregistered=True)
    return {"img_size": description.image_size} if config and config.fixed_input_size else {}


def preprocessing(description: Architecture) -> dict[str, Any]:
    """Describe the preprocessing as timm's data config; without framing, the stored square, bilinear, no crop."""
    size = description.image_size
    framing = description.framing or {"interpolation": "bilinear", "crop_pct": 1.0, "crop_mode": "squash"}
    shape = (description.channels, size, size)
    return {"input_size": shape, **framing, "mean": description.mean, "std": description.std}


def load_exported(folder: Path) -> nn.Module:
    """Load the calibrated classifier as a user does: with timm, or with the folder's calibrated.py if there is one."""
    if not (folder / WRAPPER).is_file():
        model: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True)
        return model.eval()
    loaded: nn.Module = _module(folder / WRAPPER).load(folder)
    return loaded


def prepare_images(folder: Path, images: Sequence[Path | Image.Image]) -> np.ndarray:
    """Prepare image files, or images, with the folder's prepare.py, as a user does: (N, channels, H, W) float32."""
    code = _module(folder / PREPARE)
    return np.stack([code.load(one, folder) if isinstance(one, Path) else code.prepare(one, folder) for one in images])


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
