"""The types that options are made of."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
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


def resolved_options(model: BaseModel) -> dict[str, Any]:
    """The options of a model as plain types, without those that have their neutral value.

    An option that came after the first results declares the value with which everything is as it was before there was
    such an option, so that results made then need not be made again:

        ema: NonNegative = Field(0.0, description="…", json_schema_extra={"neutral": 0.0})

    It is not the default that counts: a default may change, and then results do.
    """
    resolved: dict[str, Any] = _without_neutral(model, model.model_dump(mode="json"))
    return resolved


def _without_neutral(value: Any, plain: Any) -> Any:
    """`plain` is `value` as JSON's types; models may be nested in lists and mappings."""
    if isinstance(value, BaseModel):
        fields = {name: (getattr(value, name), plain[name]) for name in type(value).model_fields if name in plain}
        return {n: _without_neutral(*pair) for n, pair in fields.items() if not _is_neutral(type(value), n, pair[1])}
    if isinstance(value, Mapping):
        return {name: _without_neutral(one, plain[str(name)]) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_neutral(*pair) for pair in zip(value, plain, strict=True)]
    return plain


def _is_neutral(model: type[BaseModel], name: str, plain: Any) -> bool:
    declared = neutral_values(model)
    return name in declared and plain == declared[name]


@cache
def neutral_values(model: type[BaseModel]) -> dict[str, Any]:
    """Field → the neutral value that it declares, for those that do."""
    extra = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    return {name: one["neutral"] for name, one in extra.items() if isinstance(one, dict) and "neutral" in one}


def distinct(values: Any) -> None:
    twice = sorted({repr(v) for v in values if list(values).count(v) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given more than once")
