"""Image files → square RGB pictures, packed into images.parquet; a file that cannot be decoded is an error."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from finecal.data.image_files import ImageFiles
from finecal.data.packed import rows_in_group, write_parts
from finecal.errors import UserError

# What people have as images. Left out on purpose: formats that start other programs (EPS), and those that nearly any
# file can be taken for (TGA).
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")
SECONDS_BETWEEN_REPORTS = 10.0
SHOWN_ERRORS = 20
WHITE = (255, 255, 255)

Fit = Literal["stretch", "crop"]


class BadImageError(Exception):
    """A file that is no image, or a damaged one; the message says why."""


def decode(path: Path, side: int, fit: Fit = "stretch") -> np.ndarray:
    """Decode an image file as people see it: (side, side, 3) uint8 RGB.

    - The orientation in the EXIF data is applied.
    - Transparent parts are white.
    - Grey, palette and CMYK images become RGB; colour profiles are not applied, as in torchvision and timm.
    - 16 bits per channel are reduced to the upper 8. Pixels that are floats or 32-bit integers have no known range of
      brightness: such a file is refused.
    - Of an animation or of several pages, the first counts.
    - `fit` is "stretch": both sides are resized, the aspect is not kept; or "crop": the shorter side is resized, of the
      longer one the middle is kept. Bilinear, with antialiasing.

    Raises
    ------
    BadImageError
        If the file is missing, empty, no image, truncated, damaged, or larger than Pillow takes for honest (179 million
        pixels).
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            # Pillow scales the grey of a PGM with more than 8 bits to 16, and keeps it in 32.
            grey16 = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
            return _square(_rgb(_loaded(image, side), grey16=grey16), side, fit)
    except BadImageError:
        raise
    except Exception as error:  # what a damaged file makes the decoders raise is not to be foreseen
        raise BadImageError(_reason(path, error)) from error


def _loaded(image: Image.Image, side: int) -> Image.Image:
    # JPEG only: decoded at 1/2, 1/4 or 1/8 if that is still twice as large as needed.
    image.draft(None, (2 * side, 2 * side))
    image.load()
    upright: Image.Image = ImageOps.exif_transpose(image)
    return upright


def _rgb(image: Image.Image, *, grey16: bool) -> Image.Image:
    if grey16:
        values = np.asarray(image)
        grey = (values >> 8).astype(np.uint8)
        if "transparency" in image.info:  # the one value that is transparent, with all of its 16 bits
            grey[values == image.info["transparency"]] = WHITE[0]
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("I", "F"):
        kind = "32-bit integers" if image.mode == "I" else "floats"
        raise BadImageError(f"its pixels are {kind}, whose range of brightness is not known")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, (*WHITE, 255))
        return Image.alpha_composite(background, image).convert("RGB")
    return image.convert("RGB")


def _square(image: Image.Image, side: int, fit: Fit) -> np.ndarray:
    if fit == "crop":
        return np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "the file is empty" if path.stat().st_size == 0 else "no image, or of another format"
    if isinstance(error, OSError) and error.strerror:  # of the file system, not of a decoder
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error) or type(error).__name__


def pack(
    listing: ImageFiles,
    path: str | Path,
    *,
    columns: dict[str, str],
    provenance: dict[str, Any],
    threads: int = 1,
) -> None:
    """Decode all files of a listing and write them to images.parquet (see `finecal.data.packed.write_parts`).

    At most one row group is in memory, and one image per thread at its full size. The result does not depend on
    the number of threads. Progress is written to the standard error.

    Raises
    ------
    UserError
        Naming all files that cannot be decoded; nothing is written then. Also as `write_parts`.
    """
    shape = (listing.size, listing.size, 3)
    decoded = _decoded(listing, shape, threads, str(path))
    write_parts(path, listing, shape, decoded, columns=columns, provenance=provenance, files=listing.names)


def _decoded(listing: ImageFiles, shape: tuple[int, int, int], threads: int, where: str) -> Iterator[np.ndarray]:
    """The pixels part by part; the files that could not be decoded are told together after the last part."""
    bad: dict[Path, str] = {}
    rows, total = rows_in_group(shape), len(listing)
    progress = _Progress(total)

    def into(part: np.ndarray, place: int, file: Path) -> None:
        try:
            part[place] = decode(file, listing.size, listing.fit)
        except BadImageError as error:
            bad[file] = str(error)

    # Pillow decodes and resizes without Python's lock, so threads are enough.
    with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
        # Large, but not yet so large that Pillow refuses it.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for start in range(0, total, rows):
            files = listing.files[start : start + rows]
            part = np.zeros((len(files), *shape), np.uint8)
            list(pool.map(into, [part] * len(files), range(len(files)), files))
            progress.report(start + len(files))
            yield part
    if bad:
        raise _bad_files(bad, listing, where)


def _bad_files(bad: dict[Path, str], listing: ImageFiles, where: str) -> UserError:
    found = [(file, bad[file]) for file in listing.files if file in bad]
    for file, reason in found:
        print(f"{file}: {reason}", file=sys.stderr)
    shown = "; ".join(f"{file} ({reason})" for file, reason in found[:SHOWN_ERRORS])
    more = f"; and {len(found) - SHOWN_ERRORS} more, named above" if len(found) > SHOWN_ERRORS else ""
    one = len(found) == 1
    return UserError(
        f"{len(found)} of {len(listing):,} files {'is' if one else 'are'} no image that can be decoded: {shown}{more}",
        where=where, why=f"Formats: {', '.join(FORMATS)}",
        hint=f"Mend, replace or remove {'it' if one else 'them'}; no file is left out silently",
    )  # fmt: skip


class _Progress:
    """How many images are decoded, at most every ten seconds and at the end."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.start = self.last = time.monotonic()

    def report(self, done: int) -> None:
        now = time.monotonic()
        if done < self.total and now - self.last < SECONDS_BETWEEN_REPORTS:
            return
        self.last = now
        speed = done / max(now - self.start, 1e-9)
        print(f"decoded {done:,} of {self.total:,} images, {speed:,.0f} per second", file=sys.stderr, flush=True)
