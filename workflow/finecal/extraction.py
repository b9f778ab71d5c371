"""Features and logits of many samples."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from finecal.artifacts import list_array
from finecal.augmentation import resize
from finecal.device import autocast
from finecal.errors import UserError
from finecal.images import PackedImages
from finecal.models import Architecture, forward, normaliser

BATCH = 256


@torch.inference_mode()
def extract(
    model: nn.Module, description: Architecture, pixels: np.ndarray, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D) and logits (N, C), both float32, of (N, H, W, channels) uint8 images.

    Raises
    ------
    UserError
        If a logit is not finite.
    """
    was_training = model.training
    model.eval()
    mean, std = normaliser(description, device)
    parts = []
    for start in range(0, len(pixels), BATCH):
        batch = pixels[start : start + BATCH].transpose(0, 3, 1, 2).copy()  # Arrow's memory is not writable
        images = resize(torch.from_numpy(batch).to(device).float() / 255, description.image_size)
        with autocast(device):
            outputs = forward(model, (images - mean) / std)
        parts.append([tensor.float().cpu().numpy() for tensor in outputs])
    model.train(was_training)
    features, logits = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        raise UserError(f"the model gives logits that are not finite, first for image {bad[0]} of {len(pixels)}")
    return features, logits


def extract_table(model: nn.Module, description: Architecture, images: PackedImages, device: torch.device) -> pa.Table:
    """All samples of a domain as the columns sample, label, subset, logits, features of a logits.parquet."""
    features, logits = extract(model, description, images.pixels, device)
    return pa.table(
        {
            "sample": pa.array(np.arange(len(images), dtype=np.int32)),
            "label": pa.array(images.labels.astype(np.int32)),
            "subset": pa.array(images.subset),
            "logits": list_array(logits),
            "features": list_array(features),
        }
    )
