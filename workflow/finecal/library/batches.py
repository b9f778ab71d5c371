"""Batches of a loader, and what a model gives for them: images, labels, logits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from finecal.errors import UserError, counted, join_names
from finecal.logits.memory import as_array

IMAGES = ("image", "images", "pixel_values", "input", "inputs", "x")
LABELS = ("label", "labels", "target", "targets", "y")
NEEDED = "Batches (images, labels) are needed"


def batches(loader: Iterable[Any]) -> Iterator[tuple[Tensor, npt.NDArray[Any]]]:
    """Yield images (N, …) and labels (N,) or (N, C) of each batch.

    Raises
    ------
    UserError
        If they are no batches of images and labels.
    """
    if isinstance(loader, Tensor) or (not hasattr(loader, "__iter__") and not hasattr(loader, "__getitem__")):
        raise UserError(f"the loader is a {type(loader).__name__}", why=NEEDED)
    for batch in loader:
        images, labels = _pair(batch)
        images = images if isinstance(images, Tensor) else torch.as_tensor(np.asarray(as_array(images, "images")))
        own = np.asarray(as_array(labels, "labels"))
        if not own.ndim or len(own) != len(images):
            told = (
                "single samples"
                if not own.ndim
                else f"{counted(len(images), 'image')} with {counted(len(own), 'label')}"
            )
            raise UserError(f"the loader gives {told}", why=NEEDED, hint="torch.utils.data.DataLoader makes batches")
        yield images, own


def _pair(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, Mapping):
        found = [next((batch[name] for name in names if name in batch), None) for names in (IMAGES, LABELS)]
        if any(one is None for one in found):
            has = join_names([str(name) for name in batch], 6)
            raise UserError(
                f"a batch has {has}", why=f"Names such as {IMAGES[0]}, {IMAGES[2]} and {LABELS[0]} are known"
            )
        return found[0], found[1]
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise UserError(f"the loader gives a {type(batch).__name__}", why=NEEDED)
    return batch[0], batch[1]


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """Return the logits of a model on its device and in its type; also where it returns an object that has `logits`."""
    first = next(model.parameters(), None)
    if first is not None:
        images = images.to(first.device, first.dtype if images.is_floating_point() else None)
    given = model(images)
    found = given if isinstance(given, Tensor) else getattr(given, "logits", None)
    if not isinstance(found, Tensor):
        raise UserError(f"the model returns a {type(given).__name__}", why="Logits (N, C) are needed")
    return found
