"""Changes of colors as torchvision's ColorJitter (brightness, contrast, saturation) and RandomGrayscale make them."""

from __future__ import annotations

import itertools
from operator import mul

import torch
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, as in torchvision
BRIGHTNESS, CONTRAST, SATURATION = range(3)
# All orders of the three changes.
ORDERS = tuple(itertools.permutations((BRIGHTNESS, CONTRAST, SATURATION)))


def luma(images: Tensor) -> Tensor:
    """Return the brightness of (…, channels, H, W) images, (…, 1, H, W)."""
    if images.shape[-3] == 1:
        return images
    red, green, blue = images.unbind(-3)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2]).unsqueeze(-3)


def adjust_brightness(image: Tensor, factor: float) -> Tensor:
    """Blend a (channels, H, W) image with values in [0, 1] with black, in place; the factor 1 changes nothing."""
    return image.mul_(factor).clamp_(max=1)


def adjust_contrast(image: Tensor, factor: float) -> Tensor:
    """Blend an image with its mean brightness, in place."""
    of_colors = image.mean(dim=(1, 2)).tolist()
    mean = sum(map(mul, LUMA, of_colors)) if len(of_colors) == len(LUMA) else of_colors[0]
    return image.mul_(factor).add_((1 - factor) * mean).clamp_(0, 1)


def adjust_saturation(image: Tensor, factor: float) -> Tensor:
    """Blend an image with itself in grey, in place."""
    return image.lerp_(luma(image), 1 - factor).clamp_(0, 1) if len(image) > 1 else image


CHANGES = (adjust_brightness, adjust_contrast, adjust_saturation)  # by number


def jitter_one(image: Tensor, factors: list[float], turns: list[int]) -> Tensor:
    """Apply the three changes to an image in place, in the order `turns`."""
    for turn in turns:
        CHANGES[turn](image, factors[turn])
    return image


def jitter_together(images: Tensor, factors: Tensor, turns: Tensor) -> Tensor:
    """Do what `jitter_one` does to every image of (N, channels, H, W), in new memory.

    All three changes blend an image with another one: black, its mean brightness, or itself in grey. So three blends of
    the whole batch are enough, each with the partner that is the image's turn.

    Parameters
    ----------
    factors, turns
        (N, 3) float and (N, 3) int64, on the images' device.
    """
    for turn in turns.unbind(dim=1):
        which = turn[:, None, None, None]
        grey = luma(images)
        other = torch.where(which == CONTRAST, grey.mean(dim=(1, 2, 3), keepdim=True), grey) * (which != BRIGHTNESS)
        factor = factors.gather(1, turn[:, None])[:, :, None, None]
        images = torch.lerp(other.expand_as(images), images, factor).clamp_(0, 1)
    return images
