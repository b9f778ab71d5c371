"""What `Diagnosis.export` writes: the folder of `finecal export`, for a model of timm and the advised calibration."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from timm.models._input import get_model_args, get_model_input_config
from torch import nn

from finecal.calibration.contract import Head, State, Unlabelled, restrict
from finecal.calibration.deployment import export_form
from finecal.calibration.parameters import calibrator
from finecal.data.decoding import BadImageError, open_plain
from finecal.errors import UserError, counted
from finecal.export.contents import Classifier, whole_folder, write_contents
from finecal.export.model_card import Origin
from finecal.models.build import Architecture, head
from finecal.models.extraction import extract
from finecal.models.joined_heads import join_classifiers
from finecal.models.preprocessing import resolve, transform

CPU = torch.device("cpu")
CHECKED = 16  # images of noise, where no others are given
LARGER = 1.25  # than what the model is shown: a part is cut out of most images
OF_THE_CALL = ("num_classes", "in_chans", "img_size")  # arguments that an `Architecture` has in other fields


@dataclass(frozen=True)
class Export:
    """What is exported: the fitted calibrator of an advice, the classes, and what the card and the check say."""

    use: Mapping[str, Any]
    state: State
    fine_tuning: npt.NDArray[np.bool_]
    classes: Sequence[str]
    origin: Origin


def export_timm(model: nn.Module, folder: Path, what: Export, images: Sequence[Any] | None, *, onnx: bool) -> str:
    """Write the folder, whole or not at all; say how well its logits agree with those of the model.

    Parameters
    ----------
    images
        Image files, or Pillow's images, on which the folder is checked; noise without them.

    Raises
    ------
    UserError
        If it is not timm's model, the calibrator cannot be exported, something else is in the folder, or what was
        written gives other logits.
    """
    if not isinstance(model, nn.Module):
        raise UserError(f"this is a {type(model).__name__}", why="A model of timm is needed")
    model = copy.deepcopy(model).cpu().float().eval()
    if hasattr(model, "get_classifier"):
        join_classifiers(model)
    description = describe(model, what.classes)
    method, reads, takes = calibrator(what.use)
    last = head(model)
    bias = np.zeros(last.out_features) if last.bias is None else last.bias.detach().double().numpy()
    weights = Head(last.weight.detach().double().numpy(), bias)
    form = export_form(method, takes, what.state, what.fine_tuning, weights)
    if form["kind"] == "ensemble":
        raise UserError(
            f"{what.use['calibrator']!r} needs the pretrained model too", hint="`finecal export` of a study"
        )
    originals = [*(_noise(description) if images is None else map(_opened, images))]
    framed = transform(description.framing or {}, description.mean, description.image_size)
    pixels = np.stack([framed(one) for one in originals])
    features, logits = extract(model, description, pixels, CPU, "float32")
    samples = restrict(Unlabelled(logits.astype(np.float64), more={"features": features, "weights": weights}), takes)
    wanted = np.asarray(method.apply(samples, what.state, what.fine_tuning), np.float64)
    form = {
        "calibrator": what.use["calibrator"], "reads": sorted(reads), **form, "fine_tuning": what.fine_tuning,
        "gamma": what.state.get("gamma"), "stored": None,
    }  # fmt: skip
    made = Classifier(model, description, form, None, pixels, wanted, originals)
    with whole_folder(folder) as part:
        return write_contents(part, made, what.origin, onnx=onnx)


def describe(model: nn.Module, classes: Sequence[str]) -> Architecture:
    """Return how timm makes a model, and what it is shown of an image, as the model itself says.

    Raises
    ------
    UserError
        If it is not timm's, its head is not linear or has not a row for each class, or its images are not square.
    """
    config: Any = getattr(model, "pretrained_cfg", None)
    if not config or not hasattr(model, "get_classifier"):
        raise UserError("this is not a model of timm", hint="finecal.calibrate returns any torch module with γ in it")
    rows = head(model).out_features
    if rows != len(classes):
        raise UserError(f"the model has {counted(rows, 'class')}", why=f"The logits have {len(classes)}")
    channels, height, width = get_model_input_config(model)["input_size"]
    if height != width:
        raise UserError(f"the model takes images of {height} × {width}", why="Only squares are supported")
    shown = resolve("timm", config, config["mean"], config["std"], channels)
    options = {name: value for name, value in get_model_args(model).items() if name not in OF_THE_CALL}
    return Architecture(config["architecture"], options, tuple(classes), channels, height, **shown._asdict())


def _opened(image: Any) -> Image.Image:
    try:
        return open_plain(Path(image)) if isinstance(image, (str, Path)) else image
    except BadImageError as error:
        raise UserError(str(error), where=str(image)) from error


def _noise(description: Architecture) -> list[Image.Image]:
    side = round(LARGER * description.image_size)
    random = np.random.default_rng(0)
    shape = (CHECKED, side, side, description.channels)
    pixels = random.integers(0, 256, shape, dtype=np.uint8)
    return [Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one) for one in pixels]
