"""Use an exported folder as its user will, and compare its logits with finecal's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor

from finecal.data.augmentation import resize_and_normalise
from finecal.data.decoding import open_plain
from finecal.errors import UserError, how_to_install
from finecal.export import folder as export_folder
from finecal.export import onnx_file
from finecal.models.build import Architecture, normaliser

# Of the largest logit. Another order of summation made 1e-7 to 2e-6 of it in float32, in ResNets, ConvNeXt and ViTs; a
# wrong row, normalisation or resizing makes 1e-3 and more.
TOLERANCE = 1e-4
CPU = torch.device("cpu")


def to_picture(pixels: np.ndarray) -> Image.Image:
    """Return (H, W, channels) uint8 as an image."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


@torch.inference_mode()
def compare(
    folder: Path,
    description: Architecture,
    pixels: np.ndarray,
    wanted: np.ndarray,
    *,
    onnx: bool,
    originals: Sequence[Path | Image.Image] = (),
) -> tuple[list[dict[str, Any]], list[str]]:
    """Use the folder as its user will, and compare the logits with finecal's; return rows of check.parquet, and notes.

    Parameters
    ----------
    pixels
        (N, H, W, channels) uint8, as they are stored.
    originals
        The image files that they were made from, if they are there.

    Raises
    ------
    UserError
        If the folder or the ONNX file gives other logits than finecal.
    """
    channels_first = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    prepared = resize_and_normalise(channels_first, description.image_size, normaliser(description, CPU))
    model = export_folder.load_exported(folder)
    rows = [_row("folder", _in_batches(model, prepared), wanted)]
    files = torch.from_numpy(export_folder.prepare_images(folder, originals)) if originals else None
    of_files = [] if files is None else [_row("files", _in_batches(model, files), wanted)]
    notes = []
    if missing := onnx_file.find_missing_packages() if onnx else []:
        notes.append(f"No ONNX: {', '.join(missing)} not installed ({how_to_install('export')}).")
    elif onnx:
        path = folder / onnx_file.NAME
        with torch.inference_mode(False), torch.no_grad():
            onnx_file.write_onnx(path, export_folder.load_exported(folder), description)
        rows.append(_row("onnx", onnx_file.run_onnx(path, prepared.numpy()), wanted))
        if files is not None:
            of_files.append(_row("files_onnx", onnx_file.run_onnx(path, files.numpy()), wanted))
    by_timm = _through_timm(model, description, pixels, originals, wanted)
    # The resizing of stored squares may round a byte the other way.
    exact = description.framing is not None or pixels.shape[1] == description.image_size
    _check([*rows, *of_files, *by_timm] if exact else rows, wanted, folder)
    return [*rows, *of_files, *by_timm], notes


def _through_timm(
    model: torch.nn.Module,
    description: Architecture,
    pixels: np.ndarray,
    originals: Sequence[Path | Image.Image],
    wanted: np.ndarray,
) -> list[dict[str, Any]]:
    """The row of timm's own transform: of the original images, or, where a square is resized, of the stored ones."""
    config = resolve_data_config({}, pretrained_cfg=export_folder.preprocessing(description))
    transform = create_transform(**config, is_training=False)
    pictures: Iterator[Image.Image]
    if description.framing is None:
        pictures = map(to_picture, pixels)
    else:
        pictures = (open_plain(one) if isinstance(one, Path) else one for one in originals)
    shown = [transform(picture) for picture in pictures]
    return [_row("timm_transform", _in_batches(model, torch.stack(shown)), wanted)] if shown else []


def _check(rows: Sequence[Mapping[str, Any]], wanted: np.ndarray, folder: Path) -> None:
    for row in rows:
        if not row["max_abs_difference"] <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
            raise UserError(
                f"the exported classifier ({row['compared']}) is {row['max_abs_difference']:.2g} off finecal's logits",
                where=folder.name, why="So nothing was written", hint="Please report it; --no-onnx leaves ONNX out",
            )  # fmt: skip


def _in_batches(model: torch.nn.Module, images: Tensor) -> np.ndarray:
    return np.concatenate([model(part).numpy() for part in torch.split(images, 64)])


def _row(compared: str, found: np.ndarray, wanted: np.ndarray) -> dict[str, Any]:
    return {
        "compared": compared,
        "max_abs_difference": float(np.abs(found - wanted).max()),
        "same_prediction": float((found.argmax(axis=1) == wanted.argmax(axis=1)).mean()),
        "n": len(wanted),
    }
