"""The types that options are made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Strict, Tag

from finecal.paths import ALL_CLASSES

# Hosts and numbers of processes are added to it while a file is written, and a name has 255 bytes at most.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+]*$", max_length=100, description="A folder name.")]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
T = TypeVar("T")
Listed = Annotated[tuple[T, ...], Strict(False)]  # a list in YAML, a tuple here
Range = Annotated[tuple[T, T], Strict(False)]


def _as_written(value: Any) -> Any:
    """Return the name of a class as text where YAML has read a number; refuse what it has read as something else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _in_quotes(value)


def _in_quotes(value: Any) -> Any:
    if value is None or isinstance(value, (bool, date)):
        kind = "nothing" if value is None else "a date" if isinstance(value, date) else "a truth value"
        raise ValueError(f"YAML takes this name for {kind}: write it in quotes")
    return value


ClassName = Annotated[str, BeforeValidator(_as_written, json_schema_input_type=str | int)]
# A text file with a name per line, or the names; a mistake is told of the form that is given, not of both.
ClassNames = Annotated[
    Annotated[str, Tag("file")] | Annotated[Listed[ClassName], Tag("names")],
    Discriminator(lambda given: "file" if isinstance(given, str) else "names"),
]
ClassOrNumber = Annotated[str | int, BeforeValidator(_in_quotes, json_schema_input_type=str | int)]


def _reserve(reserved: str, meaning: str) -> AfterValidator:
    def check(name: str) -> str:
        if name == reserved:
            raise ValueError(f"the name is reserved for {meaning}")
        return name

    return AfterValidator(check)


# Both are names of folders; these two folders finecal names itself.
SplitName = Annotated[Name, _reserve(ALL_CLASSES, "the split in which S is all of Y")]
RecipeName = Annotated[Name, _reserve("pretrained", "the pretrained model")]


class Model(BaseModel):
    """Base of all options: unknown keys are errors, texts are not taken for numbers, and values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def resolved_options(model: BaseModel) -> dict[str, Any]:
    """Return the options of a model as plain types, without those that have their neutral value.

    An option added later declares its neutral value, the one with which results are what they were before there was
    such an option, so that they stay valid:

        ema: NonNegative = Field(0.0, description="…", json_schema_extra={"neutral": 0.0})

    The neutral value, not the default, decides: a default may change later, and results with it.
    """
    resolved: dict[str, Any] = _without_neutral(model, model.model_dump(mode="json"))
    return resolved


def _without_neutral(value: Any, plain: Any) -> Any:
    """Return `plain`, which is `value` in JSON's types, without neutral options; models may be nested."""
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
    """Return field → its neutral value, for the fields that declare one."""
    extra = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    return {name: one["neutral"] for name, one in extra.items() if isinstance(one, dict) and "neutral" in one}


def require_distinct(values: Any) -> None:
    """Raise ValueError if a value is given more than once."""
    twice = sorted({repr(v) for v in values if list(values).count(v) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given more than once")
