"""The options of data sets of image files that say how the images are stored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from finecal.config import Model


class Stored(Model):
    """How decoded images are stored; `finecal.data.image_files.ImageFiles` has the same fields."""

    size: Annotated[int, Field(ge=8, le=2048)] = Field(
        256, description="Side of the stored square images, in pixels; at least the study's `image_size`."
    )
    fit: Literal["stretch", "crop"] = Field(
        "stretch",
        description="How an image becomes square: `stretch` resizes both sides, as the paper's evaluation does; `crop` "
        "resizes the shorter side and cuts the ends of the longer one off.",
    )
