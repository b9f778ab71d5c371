"""Compute features and logits of many samples."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from finecal.data.augmentation import resize_and_normalise
from finecal.data.reader import PackedFile, Pixels, Source
from finecal.errors import UserError
from finecal.io.list_columns import list_array
from finecal.models.build import Architecture, forward, head, logits_of, normaliser
from finecal.runtime.device import autocast
from finecal.runtime.lookahead import can_work_ahead, prefetch

BATCH = 256


@torch.inference_mode()
def extract(
    model: nn.Module,
    description: Architecture,
    images: Source | np.ndarray,
    device: torch.device,
    precision: str = "auto",
) -> tuple[np.ndarray, np.ndarray]:
    """Compute features (N, D) and logits (N, C), both float32, in evaluation mode.

    Parameters
    ----------
    images
        A file of images, pixels in memory, or an (N, H, W, channels) uint8 array.

    Raises
    ------
    UserError
        If a logit is not finite.
    """
    source: Source = Pixels.of(images, torch.device("cpu")) if isinstance(images, np.ndarray) else images
    was_training = model.training
    model.eval()
    mean, std = normaliser(description, device)
    classifier = head(model)
    features = np.empty((len(source), classifier.in_features), np.float32)
    logits = np.empty((len(source), classifier.out_features), np.float32)
    end = 0
    batches = (
        resize_and_normalise(pixels, description.image_size, (mean, std)) for pixels in source.batches(BATCH, device)
    )
    for batch in prefetch(batches) if can_work_ahead(device) else batches:
        start, end = end, end + len(batch)
        with autocast(device, precision):
            outputs = forward(model, batch)
        for array, tensor in zip((features, logits), outputs, strict=True):
            array[start:end] = tensor.float().cpu().numpy()
    model.train(was_training)
    return features, check_finite(logits)


@torch.inference_mode()
def classify(model: nn.Module, features: np.ndarray, device: torch.device) -> np.ndarray:
    """Compute logits (N, C) float32 of features (N, D) float32, equal to those of `extract`.

    Raises
    ------
    UserError
        If a logit is not finite.
    """
    logits = np.empty((len(features), head(model).out_features), np.float32)
    for start in range(0, len(features), BATCH):
        part = torch.from_numpy(features[start : start + BATCH]).to(device)
        logits[start : start + BATCH] = logits_of(model, part).cpu().numpy()
    return check_finite(logits)


def check_finite(logits: np.ndarray) -> np.ndarray:
    """Return the logits (N, C); UserError if a value is not finite, which names the first such image."""
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        raise UserError(f"the model gives logits that are not finite, first for image {bad[0]} of {len(logits)}")
    return logits


def extract_table(
    model: nn.Module, description: Architecture, images: PackedFile, device: torch.device, precision: str = "auto"
) -> pa.Table:
    """Extract all samples of a domain into the columns sample, label, subset, logits, features of a logits.parquet."""
    return as_table(images, *extract(model, description, images, device, precision))


def as_table(images: PackedFile, features: np.ndarray, logits: np.ndarray) -> pa.Table:
    """Return the columns of a logits.parquet from features (N, D) and logits (N, C)."""
    return pa.table(
        {
            "sample": pa.array(np.arange(len(images), dtype=np.int32)),
            "label": pa.array(images.labels.astype(np.int32)),
            "subset": pa.array(images.subset),
            "logits": list_array(logits),
            "features": list_array(features),
        }
    )
