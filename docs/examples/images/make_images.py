"""Two folders of small pictures, as one might have them: printed digits 0 to 9, and handwritten digits 0 to 5.

The handwritten test pictures are of all ten digits; leave them out to see what can be said without them.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from finecal.datasets import digits

PRINTED_PER_DIGIT, HANDWRITTEN_PER_DIGIT = 60, 60


def save(pixels: np.ndarray, labels: np.ndarray, folder: Path, digits_kept: range, most: int) -> None:
    for digit in digits_kept:
        place = folder / f"digit_{digit}"
        place.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pixels[labels == digit][:most]):
            Image.fromarray(picture[..., 0]).resize((32, 32)).save(place / f"{number:03}.png")


out = Path(sys.argv[1]) / "images"
printed = digits.prepare("printed", digits.Options(per_class=PRINTED_PER_DIGIT))
handwritten = digits.prepare("handwritten", digits.Options())
train = ~handwritten.test
save(printed.pixels, printed.labels, out / "printed", range(10), PRINTED_PER_DIGIT)
save(handwritten.pixels[train], handwritten.labels[train], out / "handwritten", range(6), HANDWRITTEN_PER_DIGIT)
save(handwritten.pixels[~train], handwritten.labels[~train], out / "handwritten_test", range(10), HANDWRITTEN_PER_DIGIT)
