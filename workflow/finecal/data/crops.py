"""Draw random crops of images and cut them out, as torchvision does.

A crop is resized bilinearly with antialiasing, as PIL does it; pixels outside of the box have no influence.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Generator, Tensor

TRIES = 10


def draw_crops(
    n: int, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float], random: Generator
) -> Tensor:
    """Draw crop boxes as torchvision's RandomResizedCrop does.

    Area uniform in `scale`, log aspect ratio uniform, up to ten tries until the box fits into the image; after
    that the largest centred box within `ratio`.

    Returns
    -------
    (N, 4) float: top, left, height, width in pixels, whole numbers.
    """
    area = height * width * torch.empty(n, TRIES).uniform_(*scale, generator=random)
    aspect = torch.exp(torch.empty(n, TRIES).uniform_(math.log(ratio[0]), math.log(ratio[1]), generator=random))
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


def resize(images: Tensor, size: int) -> Tensor:
    """Resize (N, channels, H, W) images to (N, channels, size, size) of their dtype, bilinear with antialiasing.

    Bytes remain whole numbers, as with PIL. On the CPU torch resizes bytes several times as fast as floats, and fastest
    if they are channels last.
    """
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


def crop_one(image: Tensor, box: tuple[int, int, int, int], size: int) -> Tensor:
    """Cut a box (top, left, height, width) from a (channels, H, W) image: (channels, size, size) of its dtype."""
    top, left, h, w = box
    return resize(image[None, :, top : top + h, left : left + w], size)[0]


def crop_together(images: Tensor, boxes: Tensor, flips: Tensor, size: int) -> Tensor:
    """Cut boxes (N, 4) as `crop_one` does and flip some images, (N,) bool, by two matrix products.

    Resizing is linear in columns and in rows, Y · (image · Xᵀ), with weights that depend on the box alone: on a GPU two
    large kernels for a batch. The result is float; for bytes, whole numbers, rounded after each product as in
    `crop_one`.
    """
    height, width = images.shape[-2:]
    top, left, h, w = boxes.unbind(dim=1)
    x, y = _weights(left, w, width, size), _weights(top, h, height, size)
    x = torch.where(flips[:, None, None], x.flip(1), x)
    rounded = torch.round if images.dtype == torch.uint8 else torch.clone
    return rounded(y[:, None] @ rounded(images.float() @ x.transpose(1, 2)[:, None]))


def _weights(start: Tensor, length: Tensor, whole: int, size: int) -> Tensor:
    """Return (N, size, whole): the weight of each pixel of a line in each pixel of the result, for a part of the line.

    The weights are a triangle around the center of the result's pixel, as wide as two of these, or as two pixels of the
    line if those are larger, cut off at the ends of the part; as in PIL and `torch.nn.functional.interpolate`.

    Parameters
    ----------
    start, length
        (N,) the parts, in pixels.
    whole, size
        Pixels of a line and of the result's.
    """
    scale = (length / size)[:, None, None]
    middles = scale * (torch.arange(size, device=start.device)[:, None] + 0.5)
    places = torch.arange(whole, device=start.device) - start[:, None, None]
    triangle = (1 - (places + 0.5 - middles).abs() / scale.clamp(min=1)).clamp(min=0)
    inside = (places >= 0) & (places < length[:, None, None])
    weights = triangle * inside
    return weights / weights.sum(dim=2, keepdim=True)
