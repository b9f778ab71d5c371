"""The types that options are made of."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from finecal.paths import ALL_CLASSES

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+]*$", description="A folder name.")]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
T = TypeVar("T")
Listed = Annotated[tuple[T, ...], Strict(False)]  # a list in YAML, a tuple here
Range = Annotated[tuple[T, T], Strict(False)]


def _kept_for(reserved: str, meaning: str) -> AfterValidator:
    def check(name: str) -> str:
        if name == reserved:
            raise ValueError(f"the name is kept for {meaning}")
        return name

    return AfterValidator(check)


# Both are folders beside those that finecal itself names.
SplitName = Annotated[Name, _kept_for(ALL_CLASSES, "the split in which S is all of Y")]
RecipeName = Annotated[Name, _kept_for("pretrained", "the pretrained model")]


class Model(BaseModel):
    """Unknown keys are errors, values are not coerced from strings, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def distinct(values: Any) -> None:
    twice = sorted({repr(v) for v in values if list(values).count(v) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given more than once")
