"""Options of what a model is shown of an image: `preprocessing` of a backbone."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic.config import JsonDict

from finecal.config.types import Listed, Model, Positive
from finecal.errors import counted

STRETCH: Literal["stretch"] = "stretch"
TIMM: Literal["timm"] = "timm"
LEFT_OUT: JsonDict = {"neutral": None}


class Preprocessing(Model):
    """The parts by hand; those left out are as in `like`."""

    like: Literal["timm", "stretch"] = Field(
        TIMM, description="Where parts that are left out come from.", json_schema_extra={"neutral": TIMM}
    )
    interpolation: Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"] | None = Field(
        None, description="How images are resized, by Pillow.", json_schema_extra=LEFT_OUT
    )
    crop_pct: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="Side of what the model sees, as a fraction of the resized image: the rest is cut off.",
        json_schema_extra=LEFT_OUT,
    )
    crop_mode: Literal["center", "squash", "border"] | None = Field(
        None,
        description="As in timm: `center` resizes the shorter side, `squash` both, `border` the longer side and fills "
        "up the shorter one.",
        json_schema_extra=LEFT_OUT,
    )
    mean: Listed[float] | None = Field(
        None, description="Taken from each channel, which is between 0 and 1.", json_schema_extra=LEFT_OUT
    )
    std: Listed[Positive] | None = Field(
        None, description="By which each channel is then divided.", json_schema_extra=LEFT_OUT
    )
    channels: Literal["rgb", "bgr"] = Field(
        "rgb", description="The order of the channels that the model takes.", json_schema_extra={"neutral": "rgb"}
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None and len(values) not in (1, 3):
                raise ValueError(f"`{name}` has {counted(len(values), 'number')}; it needs one per channel, 1 or 3")
            if values is not None and any(abs(value) > 1 for value in values):
                raise ValueError(
                    f"`{name}` is of channels between 0 and 1; what is of pixels between 0 and 255 is divided by 255"
                )
        geometry = [name for name in ("interpolation", "crop_pct", "crop_mode") if getattr(self, name) is not None]
        if self.like == STRETCH and geometry:
            raise ValueError(
                f"`{geometry[0]}` contradicts `like: stretch`, which resizes a stored square; leave `like` out"
            )
        return self


def _form(value: object) -> str:
    return "word" if isinstance(value, str) else "parts"


# A mistake is told of the form that is given, not of both.
SaidPreprocessing = Annotated[
    Annotated[Literal["timm", "stretch"], Tag("word")] | Annotated[Preprocessing, Tag("parts")], Discriminator(_form)
]
