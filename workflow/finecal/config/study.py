"""The typed model of a study. The descriptions of its fields are the reference documentation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from finecal import registry
from finecal.config.expectations import Expectations
from finecal.config.grids import combinations, text
from finecal.config.models import Backbone
from finecal.config.preprocessing import STRETCH, TIMM, Preprocessing
from finecal.config.splits import DrawnSplit, Split
from finecal.config.training import Pretraining, PseudoSplits, Training
from finecal.config.types import ClassNames, Listed, Model, Name, RecipeName, Seed, SplitName, require_distinct
from finecal.data.dataset import DataSet
from finecal.errors import unknown
from finecal.models import locations


class Dataset(Model):
    """Which data set, and its options."""

    source: str | None = Field(
        None, description="The built-in data set, or the path of your own file; by default the key's own name."
    )
    options: dict[str, Any] = Field({}, description="Options of this data set: see `finecal list datasets`.")
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="Part of each class's training samples held out for the calibrators that read validation data.",
    )


class RecipeUse(Model):
    """A fine-tuning recipe with its options."""

    recipe: str | None = Field(
        None, description="The built-in recipe, or the path of your own file; by default the key's own name."
    )
    options: dict[str, Any] = Field({}, description="Options of this recipe: see `finecal list recipes`.")
    training: dict[str, Any] = Field({}, description="What differs from the study's `training`.")
    weights: str | None = Field(
        None,
        description="A checkpoint that was fine-tuned elsewhere: nothing is trained, the runs of this recipe are this "
        "model. As `backbones.NAME.weights`; `{split}`, `{seed}`, `{backbone}`, `{source}`, `{target}` and `{dataset}` "
        "in it are filled in.",
    )
    class_names: ClassNames | None = Field(None, description="As `backbones.NAME.class_names`, for `weights`.")
    expect: Expectations = Field(
        {},
        exclude=True,
        description="As `backbones.NAME.expect`, of the fine-tuned model.",
        json_schema_extra={"neutral": {}},
    )
    at_chance: bool = Field(
        False,
        description="As `backbones.NAME.at_chance`, for `weights`: whether it may guess the training images of S.",
        json_schema_extra={"neutral": False},
    )
    grid: dict[str, Listed[bool | int | float | str]] = Field(
        {},
        exclude=True,
        description="Many recipes at once: keys of `training` with lists of values. Every combination is a recipe, "
        "called like NAME_adam_lr0.01_wd0.0005.",
    )

    @field_validator("grid")
    @classmethod
    def _values_that_can_be_names(cls, grid: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for key, values in grid.items():
            if key not in Training.model_fields:
                raise ValueError from unknown("key", key, Training.model_fields)
            if not values:
                raise ValueError(f"the list of {key} is empty")
            require_distinct([text(value) for value in values])
        return grid

    @model_validator(mode="after")
    def _said_once(self) -> RecipeUse:
        both = sorted(self.grid.keys() & self.training.keys())
        if both:
            raise ValueError(f"`{both[0]}` stands in `training` and in `grid`")
        of_training = [key for key in ("recipe", "options", "training", "grid") if getattr(self, key)]
        if self.weights and of_training:
            raise ValueError(f"a recipe with `weights` is not trained, so `{of_training[0]}` has no effect")
        if self.class_names and not self.weights:
            raise ValueError("`class_names` belong to `weights`")
        if self.at_chance and not self.weights:
            raise ValueError("`at_chance` belongs to `weights`")
        return self

    def expand(self, name: str) -> dict[str, RecipeUse]:
        """Return the recipes that this one stands for, by name."""
        built_in = {"recipe": self.recipe or name} if self.grid else {}
        return {
            entry: self.model_copy(update={**built_in, "grid": {}, "training": {**self.training, **chosen}})
            for entry, chosen in combinations(name, self.grid)
        }


class CalibratorUse(Model):
    """A calibrator with its options."""

    calibrator: str | None = Field(
        None, description="The built-in calibrator, or the path of your own file; by default the key's own name."
    )
    options: dict[str, Any] = Field({}, description="Options of this calibrator: see `finecal list calibrators`.")


def _complete_or_extending(schema: dict[str, Any]) -> None:
    """For editors: a file that extends another may leave out every key."""
    schema["anyOf"] = [{"required": ["extends"]}, {"required": schema.pop("required")}]


class Study(Model):
    """One study: every combination of its tasks, backbones, recipes, splits and seeds is a run."""

    model_config = ConfigDict(json_schema_extra=_complete_or_extending)

    extends: Listed[str] = Field(
        (),
        exclude=True,  # once it is read, everything is in the other keys
        description="Built-in studies, or files beside this one, that say what this file does not; a later one in the "
        "list replaces what an earlier one says. Mappings of settings (`training`, `pretraining`, `pseudo_splits`) are "
        "merged key by key, everything else is replaced as a whole.",
    )
    description: str = Field(description="One sentence: what the study asks.")
    datasets: dict[Name, Dataset] = Field(min_length=1, description="Data sets by name.")
    tasks: dict[Name, Listed[str]] = Field(
        description="Per data set its tasks, each `source-target`, two of its domains."
    )
    backbones: dict[Name, Backbone] = Field(min_length=1, description="Models by name.")
    image_size: Annotated[int, Field(ge=8)] = Field(224, description="Side of the model's input, in pixels.")
    pretraining: Pretraining = Field(description="Where the pretrained model comes from.")
    training: Training = Field(Training(), description="Fine-tuning, unless a recipe says otherwise.")  # type: ignore[call-arg]
    recipes: dict[RecipeName, RecipeUse] = Field(min_length=1, description="Fine-tuning recipes by name.")
    splits: dict[SplitName, Split] = Field(min_length=1, description="Splits of the classes into S and U, by name.")
    seeds: Listed[Seed] = Field(min_length=1, description="Seeds of the fine-tuning runs.")
    oracle_fine_tuning: bool = Field(True, description="Also fine-tune on all classes (an upper bound).")
    pseudo_splits: PseudoSplits = Field(PseudoSplits(), description="Runs for pseudo cross-validation.")  # type: ignore[call-arg]
    calibrators: dict[Name, CalibratorUse] = Field(min_length=1, description="Calibrators by name.")

    @field_validator("datasets", "backbones", "recipes", "calibrators", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        """`[a, b]` and `{a: }` are short for `{a: {}, b: {}}`."""
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            require_distinct(value)
            return {v: {} for v in value}
        return {k: {} if v is None else v for k, v in value.items()} if isinstance(value, dict) else value

    @field_validator("extends", mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        """`a` is short for `[a]`."""
        return [value] if isinstance(value, str) else value

    @field_validator("recipes", "splits", mode="after")
    @classmethod
    def _each_by_itself(cls, value: dict[str, Any]) -> dict[str, Any]:
        entries = [(name, use) for key, entry in value.items() for name, use in _expand(key, entry)]
        require_distinct([name for name, _ in entries])
        return dict(entries)

    @field_validator("tasks", "seeds", mode="after")
    @classmethod
    def _no_duplicates(cls, value: Any) -> Any:
        for values in value.values() if isinstance(value, dict) else [value]:
            require_distinct(values)
        return value

    def data_set(self, name: str) -> DataSet:
        """A data set of the study, with its options."""
        use = self.datasets[name]
        return DataSet(use.source or name, use.options)

    def preprocessing_of(self, backbone: str) -> str | Preprocessing:
        """What a backbone is shown: "timm", "stretch" or parts by hand; without a word of the study, the default."""
        use = self.backbones[backbone]
        if use.preprocessing is not None:
            return use.preprocessing
        elsewhere = use.weights or (use.model or "").startswith((locations.LOCAL, locations.HUB))
        return TIMM if elsewhere or any(recipe.weights for recipe in self.recipes.values()) else STRETCH

    def training_of(self, recipe: str) -> Training:
        """Return the study's training with the recipe's changes; augmentation is merged key by key."""
        base, changes = self.training.model_dump(), dict(self.recipes[recipe].training)
        if isinstance(changes.get("augmentation"), dict):
            changes["augmentation"] = {**base["augmentation"], **changes["augmentation"]}
        return Training.model_validate({**base, **changes})


def _expand(name: str, entry: Any) -> Iterable[tuple[str, Any]]:
    return entry.expand(name).items() if isinstance(entry, (DrawnSplit, RecipeUse)) else [(name, entry)]


def plugin_options(kind: str, name: str, options: dict[str, Any]) -> BaseModel:
    """Return the options of a data set, recipe or calibrator, checked by its own typed model `Options`.

    Raises
    ------
    UserError
        For a name that does not exist (with the closest ones).
    pydantic.ValidationError
        For an option that does not exist or has a wrong value.
    """
    model: type[BaseModel] = registry.load(kind, name).Options
    return model.model_validate(options)
