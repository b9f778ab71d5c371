"""Points in the plane: four classes, and two ways in which a domain turns; no network.

The classes lie around the origin. In the domain `similar` all of them are turned by one angle, so that what the
fine-tuning classes show of the shift holds for the absent ones too; in `dissimilar` C and D are turned the other way.
It is in the spirit of the two-dimensional example in the paper's appendix, whose exact points are not published: the
angles are this project's own.

A point is drawn as an 8 × 8 gray image: the brightness of its left half is x, that of its right half y.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from finecal.config import Count, Fraction, Model, Positive, Seed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from finecal.data.packed import PackedImages

CLASSES = tuple("ABCD")
OTHERWISE = ("C", "D")  # classes that turn the other way in `dissimilar`
EDGE = 2.0  # coordinates from −2 to 2 are shown by 256 levels of brightness
SIDE = 8


class Options(Model):
    """Options of the data set."""

    per_class: Count = Field(200, description="Points per class and domain.")
    spread: Positive = Field(0.22, description="Standard deviation of a class; its centre has distance 1 from 0.")
    angle: Annotated[float, Field(ge=0, le=180)] = Field(30.0, description="By how much a target turns, in degrees.")
    test_fraction: Fraction = Field(0.5, description="Part of each domain's points kept for testing, per class.")
    seed: Seed = Field(0, description="Seed of the points and of the train/test division.")


def domains(options: Options) -> tuple[str, ...]:
    return ("source", "similar", "dissimilar")


def classes(options: Options) -> tuple[str, ...]:
    return CLASSES


def prepare(domain: str, options: Options, files: object = None) -> PackedImages:
    """Draw the points of one domain."""
    import numpy as np

    from finecal.data.divisions import stratified_test
    from finecal.data.packed import PackedImages
    from finecal.seeds import generator

    random = generator("toy", domain, options.seed)
    labels = np.repeat(np.arange(len(CLASSES), dtype=np.int32), options.per_class)
    turned = {"source": 0.0, "similar": options.angle, "dissimilar": options.angle}[domain]
    turns = [-turned if domain == "dissimilar" and name in OTHERWISE else turned for name in CLASSES]
    angles = np.deg2rad(45 + 90 * np.arange(len(CLASSES)) + turns)
    centres = np.column_stack([np.cos(angles), np.sin(angles)])
    points = centres[labels] + options.spread * random.standard_normal((len(labels), 2))
    test = stratified_test(labels, options.test_fraction, generator("toy", domain, "test", options.seed))
    return PackedImages(draw_points(points), labels, test, CLASSES)


def draw_points(points: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Draw (N, 2) points as (N, 8, 8, 1) images; coordinates outside ±2 are moved to the edge.

    >>> import numpy as np
    >>> read_points(draw_points(np.array([[-2.0, 2.0], [9.0, 0.4]]))).round(2).tolist()
    [[-2.0, 2.0], [2.0, 0.4]]
    """
    import numpy as np

    levels = np.round((np.clip(points, -EDGE, EDGE) + EDGE) / (2 * EDGE) * 255).astype(np.uint8)
    return np.broadcast_to(levels.repeat(SIDE // 2, axis=1)[:, None, :, None], (len(points), SIDE, SIDE, 1)).copy()


def read_points(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the (N, 2) points that images show."""
    import numpy as np

    corners: npt.NDArray[np.float64] = pixels[:, 0, [0, -1], 0].astype(np.float64)
    return corners / 255 * 2 * EDGE - EDGE
