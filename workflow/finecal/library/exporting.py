"""The folder that `Diagnosis.export` writes: a timm model with the advised calibration in its head."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
from torch import nn

from finecal.calibration.contract import State
from finecal.calibration.deployment import affine
from finecal.calibration.parameters import calibrator
from finecal.errors import UserError
from finecal.export.folder import FORMAT
from finecal.library.models import Shifted, fold_into


@dataclass(frozen=True)
class Export:
    """What `export_timm` folds and notes: the fitted calibrator of an advice, the classes, and the card's words."""

    use: Mapping[str, Any]
    state: State
    fine_tuning: npt.NDArray[np.bool_]
    classes: Sequence[str]
    words: str


def export_timm(model: nn.Module, folder: Path, what: Export) -> Path:
    """Write a folder that timm loads as the calibrated classifier, with calibration.json and a README.

    Raises
    ------
    UserError
        If it is not timm's model, the calibrator is more than scale and shift, the head cannot hold it, or something
        else is in the folder.
    """
    if not getattr(model, "pretrained_cfg", None) or not hasattr(model, "get_classifier"):
        raise UserError("this is not a model of timm", hint="finecal.calibrate returns any torch module with γ in it")
    if folder.exists() and any(folder.iterdir()) and not (folder / "calibration.json").is_file():
        raise UserError("there is something else under this name", where=str(folder), hint="Give a new folder")
    config: Any = model.pretrained_cfg
    made, reads, _ = calibrator(what.use)
    numbers = affine(made, what.state, what.fine_tuning, {})
    size = tuple(config.get("input_size", (3, 224, 224)))
    images = torch.randn(2, *size, generator=torch.Generator().manual_seed(0))
    if numbers is None:
        raise UserError(
            f"{what.use['calibrator']!r} cannot be exported", why="It does more than scale and shift logits"
        )
    folded = fold_into(model, *numbers, images)
    if isinstance(folded, Shifted):
        raise UserError("the head cannot hold the calibration", why="Only linear heads are supported")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        timm.models.save_for_hf(
            folded, str(part), safe_serialization=True, model_config={"label_names": list(what.classes)}
        )
        described = {
            "format": FORMAT, "folded": True, "classes": list(what.classes), "calibrator": what.use["calibrator"],
            "reads": sorted(reads), "kind": "affine", "scale": numbers[0].tolist(), "shift": numbers[1].tolist(),
            "fine_tuning": what.fine_tuning.tolist(), "gamma": what.state.get("gamma"), "cosine_heads": {},
        }  # fmt: skip
        (part / "calibration.json").write_text(f"{json.dumps(described, indent=1, ensure_ascii=False)}\n", "utf-8")
        (part / "README.md").write_text(what.words, "utf-8")
        loaded = timm.create_model(f"local-dir:{part}", pretrained=True).eval()
        with torch.no_grad():
            if not torch.allclose(loaded(images), folded.cpu()(images), rtol=0, atol=1e-4):
                raise UserError("timm does not load the model that was written", where=str(folder))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror or error})", where=str(folder)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder
