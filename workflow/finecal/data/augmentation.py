"""Random changes of images, in batches on the device, every sample with parameters of its own.

The same operations with the same distributions as torchvision's RandomResizedCrop, RandomHorizontalFlip, ColorJitter
(without hue) and RandomGrayscale. The parameters are drawn on the CPU, so they are the same on every device.
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

# On the CPU images are changed one by one, and stay in the cache; up to this many pixels what it costs to start an
# operation weighs more, and they are changed together.
SMALL = 48**2
# Images as they are go in parts whose floats stay in the cache.
PART_BYTES = 2**20


@dataclass(frozen=True)
class Changes:
    """What is done to each image of a batch; all tensors are on the CPU.

    Attributes
    ----------
    boxes
        (N, 4) float: top, left, height, width of the crop in pixels.
    flips
        (N,) bool: left-right flip after the crop.
    factors
        (N, 3) float: brightness, contrast, saturation; None without jitter.
    turns
        (N, 3) int64: which of the three is first, second, third; None without jitter.
    grey
        (N,) bool: the colours are lost; None where none can be.
    """

    boxes: Tensor
    flips: Tensor
    factors: Tensor | None = None
    turns: Tensor | None = None
    grey: Tensor | None = None


def draw(n: int, channels: int, height: int, width: int, options: dict[str, Any], random: Generator) -> Changes:
    """Draw what is done to n images from a CPU generator; `options` as for `augment`."""
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
    """Crop, flip, jitter and grey a batch.

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
    way = one_by_one if _is_one_by_one(images, size) else together
    return way(images, changes, size, normaliser)


def _is_one_by_one(images: Tensor, size: int) -> bool:
    height, width = images.shape[-2:]
    return images.device.type == "cpu" and max(height * width, size**2) > SMALL


def one_by_one(images: Tensor, changes: Changes, size: int, normaliser: tuple[Tensor, Tensor] | None) -> Tensor:
    """The changed images. Each is finished while it is in the cache, and gets no more than what it needs."""
    n, channels = images.shape[:2]
    result = torch.empty(n, channels, size, size)  # before inference mode, since a gradient may need it
    boxes, flips = changes.boxes.int().tolist(), changes.flips.tolist()
    factors = None if changes.factors is None else changes.factors.tolist()
    turns = None if changes.turns is None else changes.turns.tolist()
    grey = [False] * n if changes.grey is None else changes.grey.tolist()
    with _one_thread(), torch.inference_mode():  # operations so small start noticeably faster
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
    """An operation on one image is over before a second thread has come to help."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def together(images: Tensor, changes: Changes, size: int, normaliser: tuple[Tensor, Tensor] | None) -> Tensor:
    """The changed images. In few large operations; a GPU gets one small copy, and need not wait for it."""
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


def unchanged(pixels: Tensor, size: int, normaliser: tuple[Tensor, Tensor]) -> Tensor:
    """(N, channels, H, W) uint8 scaled to (N, channels, size, size) float and normalised, as `augment` normalises."""
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
    """Floats that were bytes to [0, 1], in place."""
    return values.div_(255) if kind == torch.uint8 else values
