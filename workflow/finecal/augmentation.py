"""Random changes of images, in batches on the device, every sample with parameters of its own.

The same operations with the same distributions as torchvision's RandomResizedCrop, RandomHorizontalFlip,
ColorJitter and RandomGrayscale. The parameters are drawn on the CPU, so they are the same on every device.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Generator, Tensor

LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, as in torchvision
CROP_TRIES = 10


def resize(images: Tensor, size: int) -> Tensor:
    """Scale (N, channels, H, W) float images to (N, channels, size, size), bilinear with antialiasing."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


def augment(images: Tensor, size: int, options: dict[str, Any], random: Generator) -> Tensor:
    """Crop, flip, jitter and grey a batch.

    Parameters
    ----------
    images
        (N, channels, H, W) float, values in [0, 1].
    size
        Side of the result, in pixels.
    options
        The fields of `finecal.config.Augmentation`.
    random
        A CPU generator.

    Returns
    -------
    (N, channels, size, size) float in [0, 1].
    """
    n, channels, height, width = images.shape
    boxes = draw_crops(n, height, width, tuple(options["crop_scale"]), tuple(options["crop_ratio"]), random)
    flips = torch.rand(n, generator=random) < options["horizontal_flip"]
    images = crop(images, boxes, flips, size)
    if options["color_jitter"]:
        images = _jitter(images, options["color_jitter"], random)
    if options["grayscale"] and channels == 3:
        grey = (torch.rand(n, generator=random) < options["grayscale"]).to(images.device)
        images = torch.where(grey[:, None, None, None], luma(images), images)
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
    n, _, height, width = images.shape
    top, left, h, w = boxes.unbind(dim=1)
    theta = torch.zeros(n, 2, 3)
    # An affine map from output coordinates in [−1, 1] to input coordinates in [−1, 1].
    theta[:, 0, 0] = torch.where(flips, -w, w) / width
    theta[:, 0, 2] = (2 * left + w) / width - 1
    theta[:, 1, 1] = h / height
    theta[:, 1, 2] = (2 * top + h) / height - 1
    grid = F.affine_grid(theta.to(images.device), [n, 1, size, size], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def luma(images: Tensor) -> Tensor:
    """Brightness of (N, channels, H, W) images, (N, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(LUMA, device=images.device, dtype=images.dtype).reshape(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(other.expand_as(images), images, factor[:, None, None, None]).clamp(0, 1)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Towards black; factor (N,), 1 changes nothing."""
    return _blend(images, torch.zeros_like(images[:, :1]), factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Towards the image's mean brightness."""
    return _blend(images, luma(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Towards grey."""
    return _blend(images, luma(images), factor)


def _jitter(images: Tensor, strength: float, random: Generator) -> Tensor:
    """Brightness, contrast and saturation, each sample with its own factors and in its own order."""
    steps = (brightness, contrast, saturation)
    orders = list(itertools.permutations(range(len(steps))))
    n = len(images)
    factors = torch.empty(n, len(steps)).uniform_(1 - strength, 1 + strength, generator=random).to(images.device)
    chosen = torch.randint(len(orders), (n,), generator=random)
    result = images.clone()
    for number, order in enumerate(orders):
        members = torch.nonzero(chosen == number)[:, 0].to(images.device)
        if len(members):
            part = images[members]
            for step in order:
                part = steps[step](part, factors[members, step])
            result[members] = part
    return result
