"""Prepare an image file for the classifier of this folder. Needs Pillow and NumPy, not finecal, timm or torch.

    import sys; sys.path.insert(0, FOLDER)
    from prepare import load
    images = load(FILE)[None]     # (1, channels, H, W) float32, for model.onnx and for the model that timm loads

The numbers are in config.json; `stored` in calibration.json is there if the images were first stored as squares.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).parent
WHITE = 255


def load(file: str | Path, folder: str | Path = HERE) -> np.ndarray:
    """Return what the classifier is shown of a file: (channels, H, W) float32."""
    with Image.open(file) as image:
        return prepare(image, folder)


def prepare(image: Image.Image, folder: str | Path = HERE) -> np.ndarray:
    """Return what the classifier is shown of an image: (channels, H, W) float32."""
    config: dict[str, Any] = json.loads((Path(folder) / "config.json").read_text("utf-8"))["pretrained_cfg"]
    stored = json.loads((Path(folder) / "calibration.json").read_text("utf-8")).get("stored")
    channels, side, _ = config["input_size"]
    if stored is None:
        image = image.convert("RGB" if channels == 3 else "L")
    else:
        image = square(image, stored["size"], crop=stored["fit"] == "crop")
    method = Image.Resampling[config["interpolation"].upper()]
    mean = [float(value) for value in config["mean"]]
    framed = np.asarray(frame(image, side, method, config["crop_pct"], config["crop_mode"], mean))
    framed = framed.reshape(side, side, channels).astype(np.float32) / np.float32(255)
    numbers = (framed - np.asarray(mean, np.float32)) / np.asarray(config["std"], np.float32)
    return np.ascontiguousarray(numbers.transpose(2, 0, 1))


def frame(
    image: Image.Image, side: int, method: Image.Resampling, crop_pct: float, crop_mode: str, mean: list[float]
) -> Image.Image:
    """Resize an image and take its middle, as timm's transform for evaluation does."""
    scaled, (width, height) = math.floor(side / crop_pct), image.size
    if crop_mode == "squash":
        size = (scaled, scaled)
    elif crop_mode == "border":
        ratio = max(height / scaled, width / scaled)
        size = (round(width / ratio), round(height / ratio))
    else:
        short, long = min(width, height), int(scaled * max(width, height) / min(width, height))
        size = (scaled, long) if width == short else (long, scaled)
    if size != image.size:
        image = image.resize(size, method)
    if crop_mode == "border":
        fill = tuple(round(255 * value) for value in mean)
        missing = [max(0, side - length) for length in image.size]
        borders = (missing[0] // 2, missing[1] // 2, (missing[0] + 1) // 2, (missing[1] + 1) // 2)
        image = ImageOps.expand(image, borders, fill if len(fill) > 1 else fill[0])
    left, top = (round((length - side) / 2) for length in image.size)
    return image.crop((left, top, left + side, top + side))


def square(image: Image.Image, side: int, *, crop: bool) -> Image.Image:
    """Make an image the square that finecal stored: upright, on white, bilinear."""
    grey16 = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
    image.draft(None, (2 * side, 2 * side))
    image.load()
    upright: Image.Image = ImageOps.exif_transpose(image)
    if grey16:
        values = np.asarray(upright)
        grey = (values >> 8).astype(np.uint8)
        if "transparency" in upright.info:
            grey[values == upright.info["transparency"]] = WHITE
        upright = Image.fromarray(grey).convert("RGB")
    elif upright.has_transparency_data:
        colored = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", colored.size, (WHITE,) * 4), colored).convert("RGB")
    else:
        upright = upright.convert("RGB")
    if crop:
        return ImageOps.fit(upright, (side, side), Image.Resampling.BILINEAR)
    return upright.resize((side, side), Image.Resampling.BILINEAR)
