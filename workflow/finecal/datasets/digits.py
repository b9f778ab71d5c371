"""Printed digits, rendered from matplotlib's fonts, and handwritten digits from scikit-learn; no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from finecal.config import Count, Fraction, Model, Seed

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageFont

    from finecal.data.packed import PackedImages

CLASSES = tuple("0123456789")

# All upright regular and bold faces among matplotlib's own fonts that show digits well. Left out: slanted
# faces (the tilt is drawn at random below), the STIX size variants and the symbol-only cmex10, cmsy10, cmmi10
# (old-style figures), and the display faces, whose digits equal those listed.
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSerif", "DejaVuSerif-Bold",
    "STIXGeneral", "STIXGeneralBol", "cmr10", "cmb10", "cmss10", "cmtt10",
)  # fmt: skip

BITMAP = 32  # side of the binary drawing, as in the preprocessing of the handwritten digits
BLOCK = 4  # each pixel counts the ink of 4 × 4 bits, hence 8 × 8 pixels with values 0 to 16


class Options(Model):
    """Options of the data set."""

    per_class: Count = Field(300, description="Printed samples per digit.")
    test_fraction: Fraction = Field(0.3, description="Part of each domain's samples kept for testing, per class.")
    rotation: Annotated[float, Field(ge=0, le=45)] = Field(
        10.0, description="Largest rotation of a printed digit, in degrees."
    )
    shear: Annotated[float, Field(ge=0, le=1)] = Field(
        0.2, description="Largest slant of a printed digit (tangent of the angle)."
    )
    blur: Annotated[float, Field(ge=0, le=5)] = Field(
        1.0, description="Largest blur radius of a printed digit, in bits."
    )
    seed: Seed = Field(0, description="Seed of the rendering and of the train/test division.")


def domains(options: Options) -> tuple[str, ...]:
    return ("printed", "handwritten")


def classes(options: Options) -> tuple[str, ...]:
    return CLASSES


def prepare(domain: str, options: Options, files: object = None) -> PackedImages:
    """Render or load one domain: 8 × 8 grey images, white ink on black, values 0 to 255."""
    import numpy as np

    from finecal.data.divisions import stratified_test
    from finecal.data.packed import PackedImages
    from finecal.seeds import generator

    if domain == "printed":
        pixels, labels = _draw_printed(options)
    else:
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels, labels = digits.images, digits.target
    grey = np.round(pixels * (255 / BLOCK**2)).astype(np.uint8)[..., None]  # (N, 8, 8, 1)
    test = stratified_test(labels, options.test_fraction, generator("digits", domain, "test", options.seed))
    return PackedImages(grey, labels.astype(np.int32), test, CLASSES)


def _draw_printed(options: Options) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np
    from matplotlib import get_data_path
    from PIL import ImageFont

    from finecal.seeds import generator

    random = generator("digits", "printed", options.seed)
    fonts = [ImageFont.truetype(f"{get_data_path()}/fonts/ttf/{name}.ttf", 2 * BITMAP) for name in FONTS]
    labels = np.repeat(np.arange(len(CLASSES)), options.per_class)
    drawn = [_draw_digit(CLASSES[label], fonts[random.integers(len(fonts))], random, options) for label in labels]
    return np.stack(drawn), labels


def _draw_digit(digit: str, font: ImageFont.FreeTypeFont, random: np.random.Generator, options: Options) -> np.ndarray:
    """One digit as 8 × 8 counts of ink, 0 to 16, made as the handwritten ones were.

    Those are 32 × 32 bitmaps of a size-normalised digit whose ink is counted in blocks of 4 × 4 bits.
    """
    import numpy as np
    from PIL import Image, ImageFilter

    left, top, right, bottom = map(round, font.getbbox(digit))
    margin = round(font.size / 2)
    canvas = Image.new("L", (right - left + 2 * margin, bottom - top + 2 * margin))
    _ink(canvas).text((margin - left, margin - top), digit, fill=255, font=font)
    slant = random.uniform(-options.shear, options.shear)
    shift = -slant * canvas.height / 2  # slant about the middle
    canvas = canvas.transform(
        canvas.size, Image.Transform.AFFINE, (1, slant, shift, 0, 1, 0), Image.Resampling.BILINEAR
    )
    canvas = canvas.rotate(random.uniform(-options.rotation, options.rotation), Image.Resampling.BILINEAR)
    canvas = canvas.crop(canvas.getbbox())
    # Size-normalised: the height fills the bitmap, the width follows within limits, as handwriting varies.
    width = round(BITMAP * min(1.0, canvas.width / canvas.height * random.uniform(0.9, 1.3)))
    canvas = canvas.resize((max(width, BLOCK), BITMAP), Image.Resampling.BOX)
    bitmap = Image.new("L", (BITMAP, BITMAP))
    bitmap.paste(canvas, ((BITMAP - canvas.width) // 2, 0))
    bitmap = bitmap.filter(ImageFilter.GaussianBlur(random.uniform(0, options.blur)))
    bits = np.asarray(bitmap) > random.uniform(80, 176)  # the threshold varies the thickness of the stroke
    ink: np.ndarray = bits.reshape(BITMAP // BLOCK, BLOCK, BITMAP // BLOCK, BLOCK).sum(axis=(1, 3))
    return ink


def _ink(canvas: Image.Image):  # type: ignore[no-untyped-def]  # Pillow's drawing object has no public type
    from PIL import ImageDraw

    return ImageDraw.Draw(canvas)
