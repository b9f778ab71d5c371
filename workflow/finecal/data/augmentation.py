"""Random augmentation of images in batches on the device; every sample has parameters of its own.

Operations and distributions are those of torchvision's RandomResizedCrop, RandomHorizontalFlip, ColorJitter (without
hue) and RandomGrayscale. The parameters are drawn on the CPU, so they are the same on every device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from finecal.data.colors import ORDERS, jitter_one, jitter_together, luma
from finecal.data.crops import crop_one, crop_together, draw_crops, resize
from finecal.runtime.device import to_device

# On the CPU, images with more pixels than this are changed one by one, so that each stays in the cache. For smaller
# ones the cost of starting an operation dominates, and the batch is changed together.
SMALL = 48**2
# `resize_and_normalise` works on parts of a batch whose floats stay in the cache.
PART_BYTES = 2**20


@dataclass(frozen=True)
class Changes:
    """The parameters of the augmentation of a batch; all tensors are on the CPU.

    Attributes
    ----------
    boxes
        (N, 4) float: top, left, height, width of the crop in pixels.
    flips
        (N,) bool: whether to flip left and right after the crop.
    factors
        (N, 3) float: brightness, contrast, saturation; None without jitter.
    turns
        (N, 3) int64: which of the three is applied first, second, third; None without jitter.
    grey
        (N,) bool: whether the image becomes grey; None if none does.
    """

    boxes: Tensor
    flips: Tensor
    factors: Tensor | None = None
    turns: Tensor | None = None
    grey: Tensor | None = None


def draw(n: int, channels: int, height: int, width: int, options: dict[str, Any], random: Generator) -> Changes:
    """Draw the parameters for n images from a CPU generator; `options` as for `augment`."""
    boxes = draw_crops(n, height, width, tuple(options["crop_scale"]), tuple(options["crop_ratio"]), random)
    flips = torch.rand(n, generator=random) < options["horizontal_flip"]
    factors, turns, grey = None, None, None
    if strength := options["color_jitter"]:
        factors = torch.empty(n, 3).uniform_(1 - strength, 1 + strength, generator=random)
        turns = torch.tensor(ORDERS)[torch.randint(len(ORDERS), (n,), generator=random)]
    if options["grayscale"] and channels == 3:
        grey = torch.rand(n, generator=random) < options["grayscale"]
    return Changes(boxes, flips, factors, turns, grey)


def augment(
    images: Tensor,
    size: int,
    options: dict[str, Any],
    random: Generator,
    normaliser: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Crop and flip a batch, jitter its colours, and make some images grey.

    Parameters
    ----------
    images
        (N, channels, H, W) uint8, or float with values in [0, 1].
    size
        Side of the result, in pixels.
    options
        The fields of `finecal.config.Augmentation`.
    random
        A CPU generator.
    normaliser
        Mean and standard deviation, (1, channels, 1, 1) each: the result is (x − mean) / std.

    Returns
    -------
    (N, channels, size, size) float, in [0, 1] before it is normalised.
    """
    n, channels, height, width = images.shape
    changes = draw(n, channels, height, width, options, random)
    change = change_one_by_one if _is_one_by_one(images, size) else change_together
    return change(images, changes, size, normaliser)


def _is_one_by_one(images: Tensor, size: int) -> bool:
    height, width = images.shape[-2:]
    return images.device.type == "cpu" and max(height * width, size**2) > SMALL


def change_one_by_one(images: Tensor, changes: Changes, size: int, normaliser: tuple[Tensor, Tensor] | None) -> Tensor:
    """Change each image while it is in the cache, by the operations that it needs."""
    n, channels = images.shape[:2]
    result = torch.empty(n, channels, size, size)  # outside of inference mode, since a gradient may need it
    boxes, flips = changes.boxes.int().tolist(), changes.flips.tolist()
    factors = None if changes.factors is None else changes.factors.tolist()
    turns = None if changes.turns is None else changes.turns.tolist()
    grey = [False] * n if changes.grey is None else changes.grey.tolist()
    with _one_thread(), torch.inference_mode():  # which starts small operations faster
        for number, image in enumerate(result):
            cropped = crop_one(images[number], boxes[number], size)
            image.copy_(cropped.flip(-1) if flips[number] else cropped)
            _to_unit(image, images.dtype)
            if factors is not None and turns is not None:
                jitter_one(image, factors[number], turns[number])
            if grey[number]:
                image.copy_(luma(image))
            if normaliser is not None:
                image.sub_(normaliser[0][0]).div_(normaliser[1][0])
    return result


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread of torch: an operation on one image ends before a second thread could help."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def change_together(images: Tensor, changes: Changes, size: int, normaliser: tuple[Tensor, Tensor] | None) -> Tensor:
    """Change all images by few large operations; a GPU receives one small tensor, asynchronously."""
    columns = [changes.boxes, changes.flips[:, None]]
    columns += [values for values in (changes.factors, changes.turns) if values is not None]
    columns += [] if changes.grey is None else [changes.grey[:, None]]
    table = to_device(torch.cat([column.float() for column in columns], dim=1), images.device)
    changed = _to_unit(crop_together(images, table[:, :4], table[:, 4] > 0, size), images.dtype)
    if changes.factors is not None:
        changed = jitter_together(changed, table[:, 5:8], table[:, 8:11].long())
    if changes.grey is not None:
        changed = torch.where(table[:, -1, None, None, None] > 0, luma(changed), changed)
    return changed if normaliser is None else changed.sub_(normaliser[0]).div_(normaliser[1])


def resize_and_normalise(pixels: Tensor, size: int, normaliser: tuple[Tensor, Tensor]) -> Tensor:
    """Resize (N, channels, H, W) uint8 to (N, channels, size, size) float and normalise it as `augment` does."""
    n, channels, height, width = pixels.shape
    if pixels.device.type == "cpu":
        result = torch.empty(n, channels, size, size)
        rows = max(1, PART_BYTES // (4 * channels * size**2))
        for part in (slice(start, start + rows) for start in range(0, n, rows)):
            result[part] = resize(pixels[part], size)
            _to_unit(result[part], pixels.dtype).sub_(normaliser[0]).div_(normaliser[1])
        return result
    whole = to_device(torch.tensor([[0.0, 0.0, height, width, 0.0]]), pixels.device)
    scaled = crop_together(pixels, whole[:, :4], whole[:, 4] > 0, size)
    return _to_unit(scaled, pixels.dtype).sub_(normaliser[0]).div_(normaliser[1])


def _to_unit(values: Tensor, kind: torch.dtype) -> Tensor:
    """Scale floats that were bytes to [0, 1], in place."""
    return values.div_(255) if kind == torch.uint8 else values
