"""New options declare a neutral value, and at it they are left out of what results are compared by."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from finecal import registry
from finecal.config import Model, Study, Training
from finecal.config.types import neutral_values, resolved_options
from finecal.plan.code_digests import Identity

# Options that were there before options had to declare a neutral value: Model.field, one a line.
KNOWN = Path(__file__).with_name("options_without_neutral_value.txt")
PLUGINS = ("dataset", "recipe", "calibrator")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, such as `dict[str, Backbone] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from models_in(part)


def all_models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Name → model, of a model and of those in its fields."""
    found = {model.__name__: model}
    pending = [model]
    while pending:
        for field in pending.pop().model_fields.values():
            for inner in [*models_in(field.annotation), *(m for meta in field.metadata for m in models_in(meta))]:
                if inner.__name__ not in found:
                    found[inner.__name__] = inner
                    pending.append(inner)
    return found


def every_model() -> dict[str, type[BaseModel]]:
    """Each study model by its name, each plugin's options by `kind name`."""
    models = all_models(Study)
    plugins = {
        f"{kind} {name}": registry.load(kind, name).Options
        for kind in PLUGINS
        for name in registry.built_in_names(kind)
    }
    return models | plugins


def without_neutral(models: dict[str, type[BaseModel]]) -> list[str]:
    return sorted(
        f"{name}.{field}"
        for name, model in models.items()
        for field in model.model_fields
        if field not in neutral_values(model)
    )


def check_options(models: dict[str, type[BaseModel]], known: set[str]) -> None:
    new = [option for option in without_neutral(models) if option not in known]
    assert not new, (
        f"{', '.join(new)}: a new option declares its neutral value, the one with which results are what they were "
        'without it: Field(…, json_schema_extra={"neutral": 0.0}), see finecal.config.types.resolved_options. Without '
        f"it everybody's results are computed anew. If a new plugin brings the option, add the line to {KNOWN.name}."
    )


def known_options() -> list[str]:
    return KNOWN.read_text("utf-8").splitlines()


def test_every_new_option_declares_its_neutral_value() -> None:
    check_options(every_model(), {*known_options()})


def test_the_known_options_are_those_that_there_are() -> None:
    known = known_options()
    assert known == sorted(known)
    assert {*known} <= {*without_neutral(every_model())}, "options that are gone, or declare a neutral value now"


def test_the_models_are_found_wherever_they_are_nested() -> None:
    found = all_models(Study)
    assert {"Training", "Augmentation", "Backbone", "ZeroShot", "RandomSplit", "PseudoSplits", "RecipeUse"} <= {*found}


def test_a_field_that_is_forgotten_is_named() -> None:
    class Training2(Training):
        ema: float = 0.0

    with pytest.raises(AssertionError, match=r"^Training\.ema: a new option declares its neutral value"):
        check_options({"Training": Training2}, {*known_options()})


class Inner(Model):
    kept: int = 1
    late: float = Field(0.0, json_schema_extra={"neutral": 0.0})


class Outer(Model):
    one: Inner = Inner()
    several: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = {}  # noqa: RUF012 - pydantic copies it
    maybe: Inner | None = None
    default_is_other: float = Field(1.0, json_schema_extra={"neutral": 0.0})
    pair: tuple[float, float] = Field((1.0, 1.0), json_schema_extra={"neutral": [1.0, 1.0]})


def test_neutral_values_are_left_out_of_nested_models_lists_and_mappings() -> None:
    options = Outer(several=(Inner(), Inner(late=0.5)), by_name={"a": Inner()}, maybe=Inner(late=1.0))
    assert resolved_options(options) == {
        "one": {"kept": 1},
        "several": [{"kept": 1}, {"kept": 1, "late": 0.5}],
        "by_name": {"a": {"kept": 1}},
        "maybe": {"kept": 1, "late": 1.0},
        "default_is_other": 1.0,
    }


def test_it_is_not_the_default_that_counts() -> None:
    assert "default_is_other" not in resolved_options(Outer(default_is_other=0.0))
    assert resolved_options(Outer())["default_is_other"] == 1.0


@pytest.mark.parametrize("model", [Training, registry.load("recipe", "l2_sp").Options, Inner])
def test_a_neutral_option_is_left_out_of_the_identity(model: type[BaseModel]) -> None:
    """Of study models and of plugins' options: nothing is compared that was not compared before."""
    namespace = {
        "__annotations__": {"ema": float},
        "ema": Field(0.0, json_schema_extra={"neutral": 0.0}),
        "__module__": __name__,
    }
    later: type[BaseModel] = types.new_class("Later", (model,), exec_body=lambda scope: scope.update(namespace))
    before = Identity.of("finetune", {"training": resolved_options(model())})
    assert Identity.of("finetune", {"training": resolved_options(later())}) == before
    changed = Identity.of("finetune", {"training": resolved_options(later.model_validate({"ema": 0.5}))})
    assert str(changed) != str(before)
    assert changed.options["training"]["ema"] == 0.5
