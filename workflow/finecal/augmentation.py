"""Random changes of images, in batches on the device, every sample with parameters of its own.

The same operations with the same distributions as torchvision's RandomResizedCrop, RandomHorizontalFlip,
ColorJitter and RandomGrayscale. The parameters are drawn on the CPU, so they are the same on every device.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Generator, Tensor

LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, as in torchvision
CROP_TRIES = 10
# All orders in which the three changes of colours can follow one another.
ORDERS = tuple(itertools.permutations(range(3)))
BRIGHTNESS, CONTRAST, SATURATION = range(3)
# On the CPU a batch is changed in parts whose floats stay in the cache: at 256 × 256 pixels that takes a third of the
# time. A GPU takes the whole batch, where each part would be a row of small kernels.
CPU_PART_BYTES = 2**20


def to_float(pixels: Tensor) -> Tensor:
    """uint8 values 0 to 255 as float32 from 0 to 1."""
    return pixels.float() / 255


def resize(images: Tensor, size: int) -> Tensor:
    """Scale (N, channels, H, W) float images to (N, channels, size, size), bilinear with antialiasing."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


def unchanged(pixels: Tensor, size: int, normaliser: tuple[Tensor, Tensor]) -> Tensor:
    """(N, channels, H, W) uint8 scaled to (N, channels, size, size) float and normalised, as `augment` normalises."""
    n, channels = pixels.shape[:2]
    result = torch.empty(n, channels, size, size, device=pixels.device)
    for part in _parts(pixels, size):
        torch.div(resize(to_float(pixels[part]), size).sub_(normaliser[0]), normaliser[1], out=result[part])
    return result


def _parts(images: Tensor, size: int) -> Iterator[slice]:
    n, channels, height, width = images.shape
    at_once = CPU_PART_BYTES // (4 * channels * max(height * width, size**2)) if images.device.type == "cpu" else n
    rows = max(1, at_once)
    return (slice(start, start + rows) for start in range(0, n, rows))


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
    orders
        (N,) int64: number of the order in `ORDERS`; None without jitter.
    grey
        (N,) bool: the colours are lost; None where none can be.
    """

    boxes: Tensor
    flips: Tensor
    factors: Tensor | None = None
    orders: Tensor | None = None
    grey: Tensor | None = None

    def __getitem__(self, part: slice) -> Changes:
        """Those of some of the images."""
        factors, orders, grey = (None if v is None else v[part] for v in (self.factors, self.orders, self.grey))
        return Changes(self.boxes[part], self.flips[part], factors, orders, grey)


def draw(n: int, channels: int, height: int, width: int, options: dict[str, Any], random: Generator) -> Changes:
    """Draw what is done to n images from a CPU generator; `options` as for `augment`."""
    boxes = draw_crops(n, height, width, tuple(options["crop_scale"]), tuple(options["crop_ratio"]), random)
    flips = torch.rand(n, generator=random) < options["horizontal_flip"]
    factors, orders, grey = None, None, None
    if strength := options["color_jitter"]:
        factors = torch.empty(n, 3).uniform_(1 - strength, 1 + strength, generator=random)
        orders = torch.randint(len(ORDERS), (n,), generator=random)
    if options["grayscale"] and channels == 3:
        grey = torch.rand(n, generator=random) < options["grayscale"]
    return Changes(boxes, flips, factors, orders, grey)


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
    result = torch.empty(n, channels, size, size, device=images.device)
    for part in _parts(images, size):
        pixels = to_float(images[part]) if images.dtype == torch.uint8 else images[part]
        changed = changed_by(changes[part], pixels, size)
        if normaliser is None:
            result[part] = changed
        else:
            torch.div(changed.sub_(normaliser[0]), normaliser[1], out=result[part])
    return result


def changed_by(changes: Changes, images: Tensor, size: int) -> Tensor:
    """(N, channels, size, size) float from (N, channels, H, W) float, both in [0, 1]; new memory."""
    images = crop(images, changes.boxes, changes.flips, size)
    if changes.factors is not None and changes.orders is not None:
        images = _jitter(images, changes.factors.to(images.device), changes.orders)
    if changes.grey is not None and changes.grey.any():
        members = torch.nonzero(changes.grey)[:, 0].to(images.device)
        images[members] = luma(images[members]).expand(-1, images.shape[1], -1, -1)
    return images


def draw_crops(
    n: int, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float], random: Generator
) -> Tensor:
    """Crop boxes as torchvision's RandomResizedCrop draws them.

    Area uniform in `scale`, log aspect ratio uniform, up to ten tries until the box fits into the image; after
    that the largest centred box within `ratio`.

    Returns
    -------
    (N, 4) float: top, left, height, width in pixels.
    """
    area = height * width * torch.empty(n, CROP_TRIES).uniform_(*scale, generator=random)
    aspect = torch.exp(torch.empty(n, CROP_TRIES).uniform_(math.log(ratio[0]), math.log(ratio[1]), generator=random))
    w, h = torch.round(torch.sqrt(area * aspect)), torch.round(torch.sqrt(area / aspect))
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    w, h = w.gather(1, first)[:, 0], h.gather(1, first)[:, 0]
    centred_w = min(width, round(height * ratio[1])) if width / height > ratio[1] else width
    centred_h = min(height, round(width / ratio[0])) if width / height < ratio[0] else height
    none = ~fits.any(dim=1)
    w, h = torch.where(none, centred_w, w), torch.where(none, centred_h, h)
    # A whole-number position, uniform over those where the box fits.
    place = torch.rand(n, 2, generator=random)
    top, left = torch.floor(place[:, 0] * (height - h + 1)), torch.floor(place[:, 1] * (width - w + 1))
    top = torch.where(none, torch.floor((height - h) / 2), top)
    left = torch.where(none, torch.floor((width - w) / 2), left)
    return torch.stack([top, left, h, w], dim=1)


def crop(images: Tensor, boxes: Tensor, flips: Tensor, size: int) -> Tensor:
    """Cut boxes (N, 4: top, left, height, width), flip where asked, and scale to (N, channels, size, size)."""
    height, width = images.shape[-2:]
    top, left, h, w = boxes.to(images.device).unbind(dim=1)
    x = _places(torch.where(flips.to(images.device), -w, w) / width, (2 * left + w) / width - 1, size)
    y = _places(h / height, (2 * top + h) / height - 1, size)
    grid = torch.empty(len(images), size, size, 2, device=images.device)
    grid[..., 0], grid[..., 1] = x[:, None, :], y[:, :, None]
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _places(scale: Tensor, shift: Tensor, size: int) -> Tensor:
    """(N, size): where the middles of the result's pixels lie in the image, whose edges are −1 and 1.

    As `torch.nn.functional.affine_grid` has it, without its product of matrices that are mostly zero.
    """
    middles = torch.linspace(-1, 1, size, device=scale.device) * (size - 1) / size
    return middles * scale[:, None] + shift[:, None]


def luma(images: Tensor) -> Tensor:
    """Brightness of (N, channels, H, W) images, (N, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    red, green, blue = LUMA
    grey = images[:, :1] * red
    return grey.add_(images[:, 1:2], alpha=green).add_(images[:, 2:3], alpha=blue)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(other.expand_as(images), images, factor[:, None, None, None]).clamp_(0, 1)


def _mean(grey: Tensor) -> Tensor:
    return grey.mean(dim=(1, 2, 3), keepdim=True)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Towards black; factor (N,), 1 changes nothing."""
    return _blend(images, torch.zeros_like(images[:, :1]), factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Towards the image's mean brightness."""
    return _blend(images, _mean(luma(images)), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Towards grey."""
    return _blend(images, luma(images), factor)


def _jitter(images: Tensor, factors: Tensor, orders: Tensor) -> Tensor:
    """Brightness, contrast and saturation, each sample with its own factors and in its own order.

    All three blend an image with another: black, its mean brightness, or itself in grey. So three blends do, each with
    what is that sample's turn.
    """
    turns = torch.tensor(ORDERS, device=factors.device)[orders.to(factors.device)]  # (N, 3)
    for turn in turns.unbind(dim=1):
        which = turn[:, None, None, None]
        grey = luma(images)
        other = torch.where(which == CONTRAST, _mean(grey), grey) * (which != BRIGHTNESS)
        images = _blend(images, other, factors.gather(1, turn[:, None])[:, 0])
    return images
