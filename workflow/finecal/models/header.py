"""The metadata of a file of weights, read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors

from finecal.errors import UserError
from finecal.io.outside import reading

METADATA = "finecal"


def describe_input(architecture: Mapping[str, Any]) -> str:
    """Say in words what a model is shown of an image, from the fields of its `finecal.models.build.Architecture`."""
    side, framing = architecture["image_size"], architecture.get("framing")
    square = "the stored square, resized (stretch)" if framing is None else (
        f"the image file, {framing['interpolation']}, crop_mode {framing['crop_mode']}, crop_pct {framing['crop_pct']}"
    )  # fmt: skip
    turned = "; its weights took BGR" if architecture.get("order") == "bgr" else ""
    mean, std = (list(architecture[name]) for name in ("mean", "std"))
    return f"{square}, {side} × {side} pixels, mean {mean}, std {std}{turned}"


def read_header(path: str | Path) -> dict[str, Any]:
    """Read the metadata that finecal writes with weights: `architecture` and the provenance.

    Raises
    ------
    UserError
        If the file is missing, corrupt, or was not written by `finecal.models.files.save_model`.
    """
    with reading(path, "safetensors"), safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
    if METADATA not in metadata:
        raise UserError("these weights do not say which model they belong to", where=str(path))
    header: Any = None
    with reading(f"{path}: {METADATA}", "JSON"):
        header = json.loads(metadata[METADATA])
    if not isinstance(header, dict) or not isinstance(header.get("architecture"), dict):
        raise UserError("these weights do not say which model they belong to", where=str(path))
    return header
