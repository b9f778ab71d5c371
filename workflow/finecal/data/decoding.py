"""Decode image files to square RGB images and pack them; a file that cannot be decoded is an error."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from finecal.data.image_files import ImageFiles
from finecal.data.packed import rows_in_group, write_parts
from finecal.errors import UserError, counted

# Left out on purpose: formats that start other programs (EPS), and those that almost any file is taken for (TGA).
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
SECONDS_BETWEEN_REPORTS = 10.0
SHOWN_ERRORS = 20
WHITE = (255, 255, 255)

Fit = Literal["stretch", "crop"]


class BadImageError(Exception):
    """A file is not an image or is damaged; the message says why."""


def decode(path: Path, side: int, fit: Fit = "stretch") -> np.ndarray:
    """Decode an image file as people see it; return (side, side, 3) uint8 RGB.

    - The orientation in the EXIF data is applied.
    - Transparent parts are white.
    - Grey, palette and CMYK images become RGB; colour profiles are not applied, as in torchvision and timm.
    - 16 bits per channel are reduced to the upper 8. Files with pixels of floats or 32-bit integers are refused, since
      their range of brightness is not known.
    - Of an animation or of several pages, the first is taken.
    - `fit="stretch"` resizes both sides and does not keep the aspect ratio; "crop" resizes the shorter side and keeps
      the middle of the longer one. Bilinear, with antialiasing.

    Raises
    ------
    BadImageError
        If the file is missing, empty, not an image, truncated, damaged, or has more pixels than Pillow accepts (179
        million).
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            # Pillow scales a PGM with more than 8 bits to 16 bits and stores it in 32.
            grey16 = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
            return _make_square(_to_rgb(_load_upright(image, side), grey16=grey16), side, fit)
    except BadImageError:
        raise
    except Exception as error:  # decoders raise errors of any type for damaged files
        raise BadImageError(_describe(path, error)) from error


def open_plain(path: Path) -> Image.Image:
    """Open a file as timm and torchvision do: RGB, whatever orientation its EXIF data has, without transparency.

    Raises
    ------
    BadImageError
        As for `decode`.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.mode in ("I", "F"):
                raise BadImageError(_unknown_range(image.mode))
            return image.convert("RGB")
    except BadImageError:
        raise
    except Exception as error:
        raise BadImageError(_describe(path, error)) from error


def _unknown_range(mode: str) -> str:
    kind = "32-bit integers" if mode == "I" else "floats"
    return f"its pixels are {kind}, whose range of brightness is not known"


def _load_upright(image: Image.Image, side: int) -> Image.Image:
    # Decode a JPEG at 1/2, 1/4 or 1/8 of its size if that is still twice as large as needed.
    image.draft(None, (2 * side, 2 * side))
    image.load()
    upright: Image.Image = ImageOps.exif_transpose(image)
    return upright


def _to_rgb(image: Image.Image, *, grey16: bool) -> Image.Image:
    if grey16:
        values = np.asarray(image)
        grey = (values >> 8).astype(np.uint8)
        if "transparency" in image.info:  # the value that is transparent, in 16 bits
            grey[values == image.info["transparency"]] = WHITE[0]
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("I", "F"):
        raise BadImageError(_unknown_range(image.mode))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, (*WHITE, 255))
        return Image.alpha_composite(background, image).convert("RGB")
    return image.convert("RGB")


def _make_square(image: Image.Image, side: int, fit: Fit) -> np.ndarray:
    if fit == "crop":
        return np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))


def _describe(path: Path, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "the file is empty" if path.stat().st_size == 0 else "not an image of a known format"
    if isinstance(error, OSError) and error.strerror:  # of the file system, not of a decoder
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error) or type(error).__name__


def pack(
    images: ImageFiles,
    path: str | Path,
    *,
    columns: dict[str, str],
    provenance: dict[str, Any],
    threads: int = 1,
    framed: Callable[[Image.Image], np.ndarray] | None = None,
) -> None:
    """Decode image files and write them to images.parquet (see `finecal.data.packed.write_parts`).

    With `framed` they are opened as `open_plain` does, and it makes the (size, size, 3) uint8 pixels.

    At most one row group is in memory, and one image per thread at its full size. The result does not depend on the
    number of threads. Progress is printed to standard error.

    Raises
    ------
    UserError
        If files cannot be decoded, naming them all; nothing is written then. Also as in `write_parts`.
    """
    shape = (images.size, images.size, 3)
    decoded = _decode_parts(images, shape, threads, str(path), framed)
    write_parts(path, images, shape, decoded, columns=columns, provenance=provenance, files=images.names)


def _decode_parts(
    images: ImageFiles,
    shape: tuple[int, int, int],
    threads: int,
    where: str,
    framed: Callable[[Image.Image], np.ndarray] | None,
) -> Iterator[np.ndarray]:
    """Yield the pixels part by part; after the last one, raise an error that names the files that failed."""
    bad: dict[Path, str] = {}
    rows, total = rows_in_group(shape), len(images)
    progress = _Progress(total)

    def decode_into(part: np.ndarray, place: int, file: Path) -> None:
        try:
            part[place] = framed(open_plain(file)) if framed else decode(file, images.size, images.fit)
        except BadImageError as error:
            bad[file] = str(error)

    # Threads are enough: Pillow releases Python's lock while it decodes and resizes.
    with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
        # For images that are large, but not so large that Pillow refuses them.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for start in range(0, total, rows):
            files = images.files[start : start + rows]
            part = np.zeros((len(files), *shape), np.uint8)
            list(pool.map(decode_into, [part] * len(files), range(len(files)), files))
            progress.report(start + len(files))
            yield part
    if bad:
        raise _bad_files(bad, images, where)


def _bad_files(bad: dict[Path, str], images: ImageFiles, where: str) -> UserError:
    found = [(file, bad[file]) for file in images.files if file in bad]
    for file, reason in found:
        print(f"{file}: {reason}", file=sys.stderr)
    shown = "; ".join(f"{file} ({reason})" for file, reason in found[:SHOWN_ERRORS])
    more = f"; and {len(found) - SHOWN_ERRORS} more, named above" if len(found) > SHOWN_ERRORS else ""
    one = len(found) == 1
    return UserError(
        f"{len(found)} of {counted(len(images), 'file')} cannot be decoded: {shown}{more}",
        where=where, why=f"Formats: {', '.join(FORMATS)}",
        hint=f"Repair, replace or remove {'it' if one else 'them'}; no file is skipped silently",
    )  # fmt: skip


class _Progress:
    """Prints how many images are decoded, at most every ten seconds and at the end."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.start = self.last = time.monotonic()

    def report(self, done: int) -> None:
        now = time.monotonic()
        if done < self.total and now - self.last < SECONDS_BETWEEN_REPORTS:
            return
        self.last = now
        speed = done / max(now - self.start, 1e-9)
        said = f"decoded {done:,} of {counted(self.total, 'image')}, {speed:,.0f} per second"
        print(said, file=sys.stderr, flush=True)
