"""Seeded corruptions of images: the result for an image depends on the image, its number and the seed alone.

A small set for this project that covers noise, loss of detail, loss of bits and light: enough to shift a domain.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.seeds import seed_of

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.floating[Any]]  # float32
CHUNK = 1024  # images that are changed at once, so that floating-point copies stay small


def corrupt(pixels: Pixels, name: str, severity: int, seed: int) -> Pixels:
    """Corrupt images.

    Parameters
    ----------
    pixels
        (N, H, W, channels) uint8; an image's number is its index.
    name
        A key of `STRENGTHS`.
    severity
        1 to 5.

    Returns
    -------
    Pixels
        A new array of the same shape.
    """
    return _corrupt(pixels, np.arange(len(pixels)), name, severity, seed)


def corrupt_mixed(pixels: Pixels, names: Sequence[str], severity: int, seed: int) -> Pixels:
    """Corrupt each image by one of several corruptions, drawn for its number."""
    drawn = np.array([_generator("mixed", seed, int(i)).integers(len(names)) for i in range(len(pixels))], dtype=int)
    result = np.empty_like(pixels)
    for number, name in enumerate(names):
        members = np.flatnonzero(drawn == number)
        result[members] = _corrupt(pixels[members], members, name, severity, seed)
    return result


def _corrupt(pixels: Pixels, numbers: npt.NDArray[np.int_], name: str, severity: int, seed: int) -> Pixels:
    apply, strength = CORRUPTIONS[name], STRENGTHS[name][severity - 1]
    result = np.empty_like(pixels)
    for start in range(0, len(pixels), CHUNK):
        part = slice(start, start + CHUNK)
        values = pixels[part].astype(np.float32) / 255
        generators = [_generator(name, seed, int(number)) for number in numbers[part]]
        changed = apply(values, strength, generators.__getitem__)
        result[part] = np.round(np.clip(changed, 0, 1) * 255).astype(np.uint8)
    return result


def _generator(name: str, seed: int, number: int) -> np.random.Generator:
    """Return the generator of an image: a counter-based one, which is cheap to seed."""
    return np.random.Generator(np.random.Philox(key=seed_of("corruption", name, seed), counter=[0, 0, 0, number]))


Draw = Callable[[int], np.random.Generator]


def _noise(values: Values, draw: Draw) -> Values:
    """Draw standard normal noise of the shape of `values`."""
    return np.stack([draw(i).standard_normal(values.shape[1:], dtype=np.float32) for i in range(len(values))])


def gaussian_noise(values: Values, deviation: float, draw: Draw) -> Values:
    """Add the noise of a sensor: normal, with the same deviation everywhere."""
    return values + deviation * _noise(values, draw)


def shot_noise(values: Values, photons: float, draw: Draw) -> Values:
    """Add the noise of weak light: Poisson counts with this many photons for white."""
    counts = np.stack([draw(i).poisson(value * photons) for i, value in enumerate(values)])
    return (counts / photons).astype(np.float32)


def impulse_noise(values: Values, fraction: float, draw: Draw) -> Values:
    """Make this fraction of the pixels black or white in all channels."""
    drawn = np.stack([draw(i).random(values.shape[1:3], dtype=np.float32) for i in range(len(values))])[..., None]
    return np.where(drawn < fraction / 2, 0, np.where(drawn > 1 - fraction / 2, 1, values)).astype(np.float32)


def blur(values: Values, sigma: float, draw: Draw) -> Values:
    """Blur by a Gaussian whose sigma is given in pixels of a 32 × 32 image."""
    from scipy.ndimage import gaussian_filter

    width = sigma * values.shape[1] / 32
    blurred: Values = gaussian_filter(values, (0, width, width, 0), mode="nearest")
    return blurred


def pixelate(values: Values, side: float, draw: Draw) -> Values:
    """Replace squares by their means; the grid of squares has this fraction of the image's side."""
    height, width = values.shape[1:3]
    rows = np.arange(height) * max(1, round(side * height)) // height
    columns = np.arange(width) * max(1, round(side * width)) // width
    means = _means(_means(values, rows, axis=1), columns, axis=2)
    return means[:, rows][:, :, columns]


def _means(values: Values, groups: npt.NDArray[np.int_], axis: int) -> Values:
    """Average over runs of equal numbers in `groups`, which ascend from 0."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    shape = [1] * values.ndim
    shape[axis] = -1
    sizes = np.bincount(groups).reshape(shape)
    return (np.add.reduceat(values, starts, axis=axis) / sizes).astype(np.float32)


def jpeg(values: Values, quality: float, draw: Draw) -> Values:
    """Compress as a JPEG file of this quality."""
    from PIL import Image

    done = np.empty_like(values)
    for i, value in enumerate(np.round(values * 255).astype(np.uint8)):
        file = io.BytesIO()
        Image.fromarray(value.squeeze()).save(file, "JPEG", quality=int(quality))
        with Image.open(file) as image:
            done[i] = np.asarray(image, dtype=np.float32).reshape(value.shape) / 255
    return done


def contrast(values: Values, factor: float, draw: Draw) -> Values:
    """Multiply the distance of every value to the image's mean by a factor."""
    mean = values.mean(axis=(1, 2), keepdims=True)
    changed: Values = (values - mean) * factor + mean
    return changed


def brightness(values: Values, added: float, draw: Draw) -> Values:
    """Add this fraction of white's value."""
    return values + added


def fading(values: Values, kept: float, draw: Draw) -> Values:
    """Multiply the distance of every value to the pixel's grey by a factor; grey images do not change."""
    grey = values.mean(axis=3, keepdims=True)
    changed: Values = (values - grey) * kept + grey
    return changed


CORRUPTIONS: dict[str, Callable[[Values, float, Draw], Values]] = {
    function.__name__: function
    for function in (gaussian_noise, shot_noise, impulse_noise, blur, pixelate, jpeg, contrast, brightness, fading)
}
# For the severities 1 to 5; chosen by eye on 32 × 32 images.
STRENGTHS: dict[str, tuple[float, float, float, float, float]] = {
    "gaussian_noise": (0.04, 0.07, 0.10, 0.14, 0.20),
    "shot_noise": (400, 150, 80, 40, 20),
    "impulse_noise": (0.01, 0.03, 0.06, 0.10, 0.18),
    "blur": (0.4, 0.7, 1.0, 1.4, 2.0),
    "pixelate": (0.8, 0.65, 0.5, 0.4, 0.3),
    "jpeg": (60, 35, 20, 12, 6),
    "contrast": (0.75, 0.55, 0.4, 0.27, 0.15),
    "brightness": (0.06, 0.12, 0.19, 0.27, 0.37),
    "fading": (0.75, 0.5, 0.3, 0.15, 0.0),
}
