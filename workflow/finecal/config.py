"""A study: what is run, as typed models. Their field descriptions are the reference documentation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)

from finecal import catalogue, plugins, sources
from finecal.errors import UserError, unknown
from finecal.grids import combinations, text
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


class Augmentation(Model):
    """Random changes of a training image, drawn per sample."""

    crop_scale: Range[Annotated[float, Field(gt=0, le=1)]] = Field(
        (0.7, 1.0), description="Smallest and largest area of the random crop, as a fraction."
    )
    crop_ratio: Range[Positive] = Field(
        (3 / 4, 4 / 3), description="Smallest and largest aspect ratio (width / height) of the crop."
    )
    horizontal_flip: Probability = Field(0.5, description="Probability of a left-right flip.")
    color_jitter: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.3, description="Brightness, contrast and saturation are each scaled by a factor from 1 ± this."
    )
    grayscale: Probability = Field(0.1, description="Probability that the image loses its colours.")

    @field_validator("crop_scale", "crop_ratio")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("the smallest value comes first, then the largest")
        return value


class Training(Model):
    """How a model is trained. The learning rate falls along a half cosine to zero over all steps."""

    optimizer: str = Field("sgd", description="Any optimiser of timm's factory; `sgd` is Nesterov SGD.")
    lr: Positive = Field(1e-3, description="Learning rate of the head (the last layer) at the start.")
    backbone_lr_scale: NonNegative = Field(0.1, description="The backbone's learning rate as a multiple of the head's.")
    weight_decay: NonNegative = Field(5e-4, description="Weight decay, as the optimiser defines it.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="Momentum, where there is one.")
    optimizer_options: dict[str, bool | int | float | str | list[float]] = Field(
        {}, description="Further arguments of the optimiser, such as `eps` or `betas`."
    )
    batch_size: Count = Field(64, description="Samples per step.")
    epochs: Count = Field(20, description="Epochs; the history has one row for each.")
    steps_per_epoch: Count | None = Field(
        None, description="Steps per epoch; by default one pass over the training samples."
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(0, description="Steps of linear rise to `lr`.")
    clip_grad: Positive | None = Field(None, description="Largest L2 norm of the gradient.")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="Label smoothing.")
    augmentation: Augmentation = Field(Augmentation(), description="Random changes of the images.")  # type: ignore[call-arg]

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, value: str) -> str:
        if value not in catalogue.optimizers():
            raise ValueError from unknown("optimiser", value, catalogue.optimizers())  # pydantic adds the key path
        return value

    @field_validator("momentum")
    @classmethod
    def _nesterov_needs_it(cls, value: float, others: ValidationInfo) -> float:
        name = others.data.get("optimizer")
        if value == 0 and name in ("sgd", "nesterov", "sgdw", "nesterovw"):
            raise ValueError(f"`{name}` is Nesterov SGD and needs some; the optimiser `momentum` does without")
        return value


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


class ZeroShot(Model):
    """A head made from the names of the classes by CLIP's text tower, without an image: see own_model.md."""

    model: str = Field(
        description="open_clip's name of the CLIP model, such as `ViT-B-32-quickgelu`; `local-dir:FOLDER` for one that "
        "open_clip has written, `hf-hub:ORGANISATION/NAME` for one on the hub."
    )
    pretrained: str | None = Field(
        None, description="open_clip's name of the weights, such as `openai`; a folder or a hub name has its own."
    )
    templates: Listed[str] = Field(
        ("a photo of a {}.",),
        min_length=1,
        description="Texts with `{}` in the place of the class; the head takes the mean of their embeddings.",
    )
    class_names: str | Listed[str] | None = Field(
        None,
        description="What stands for `{}`: a list in the order of the data set's classes, or a text file with a name "
        "per line; by default the classes' names, `Alarm_Clock` and `AlarmClock` as two words.",
    )

    @field_validator("templates")
    @classmethod
    def _with_a_place(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for template in templates:
            if template.count("{}") != 1:
                raise ValueError(f"the template {template!r} needs one `{{}}`, the place of the class")
        return templates

    @model_validator(mode="after")
    def _weights_of_one_kind(self) -> Self:
        own = self.model.startswith((sources.LOCAL, sources.HUB))
        if own and self.pretrained is not None:
            raise ValueError(f"{self.model!r} has its own weights, so `pretrained` means nothing")
        if not own and self.pretrained is None:
            raise ValueError(f"{self.model!r} needs `pretrained`, open_clip's name of its weights")
        return self


class Backbone(Model):
    """Which timm model, and a checkpoint of your own if there is one: see own_model.md."""

    model: str | None = Field(
        None,
        description="timm's name of the model; `local-dir:FOLDER` for one that timm or `finecal export` has written, "
        "`hf-hub:ORGANISATION/NAME` for one on the hub; by default the key's own name.",
    )
    weights: str | None = Field(
        None,
        description="A checkpoint of your own, which goes before `pretraining.weights`: a state dict (.safetensors, "
        ".pth, .pt, .bin, .ckpt) or such a folder. The path is relative to the working directory.",
    )
    class_names: str | Listed[str] | None = Field(
        None,
        description="What the rows of the checkpoint's head stand for: a list, or a text file with a name per line; "
        "by default `label_names` of a folder's config.json, or else the data set's classes.",
    )
    zero_shot: ZeroShot | None = Field(
        None,
        description="Makes this CLIP's image tower, of which `model` is timm's name, and a cosine head from the names "
        "of the classes. Needs the extra `clip`.",
    )
    options: dict[str, bool | int | float | str] = Field(
        {}, description="Further arguments of `timm.create_model`, such as `drop_path_rate`."
    )
    head: Literal["linear", "cosine"] = Field(
        "linear", description="The last layer: `linear` is w·h + b, `cosine` is a scale times cos(w, h), without bias."
    )
    head_scale: Positive = Field(16.0, description="Scale of a cosine head at the start.")
    learn_head_scale: bool = Field(True, description="Whether the scale of a cosine head is trained or stays.")

    @model_validator(mode="before")
    @classmethod
    def _head_of_zero_shot(cls, given: Any) -> Any:
        """A zero-shot head is cosine, with CLIP's scale and weights."""
        if not isinstance(given, dict) or given.get("zero_shot") is None:
            return given
        for key in ("weights", "class_names", "head", "head_scale"):
            if key in given and (key, given[key]) != ("head", "cosine"):
                raise ValueError(f"`{key}` means nothing beside `zero_shot`, which says it")
        return {**given, "head": "cosine"}


class Pretraining(Model):
    """Where the pretrained model θ⁰ comes from."""

    weights: Literal["random", "hub"] = Field(
        "hub",
        description="Start from random weights, or from those that come with the model's name: on timm's hub, in the "
        "folder of `local-dir:`.",
    )
    seed: Seed = Field(0, description="Seed of the initial weights and of the training.")
    training: Training | None = Field(
        None,
        description="Training on the source domain, all classes; `null` takes the model and its head as "
        "they are (their classes must then be the data set's).",
    )


class DrawnSplit(Model):
    """What splits that are drawn have in common."""

    seed: Seed = Field(0, description="Seed of the draw.")
    fraction: Fraction | None = Field(None, description="Part of the classes in S, rounded to the nearest number.")
    count: Count | None = Field(None, description="Number of classes in S.")
    sizes: Listed[Count] = Field(
        (),
        exclude=True,
        description="Many splits at once, NAME_3 with 3 classes in S; a smaller S is a part of a larger.",
    )
    seeds: Listed[Seed] = Field(
        (), exclude=True, description="Many splits at once, NAME_seed1 (or NAME_3_seed1) drawn with seed 1."
    )

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.fraction is not None) + (self.count is not None) + bool(self.sizes) != 1:
            raise ValueError("give one of `fraction`, `count` and `sizes`")
        if self.seeds and "seed" in self.model_fields_set:
            raise ValueError("give either `seed` or `seeds`")
        _distinct(self.sizes)
        _distinct(self.seeds)
        return self

    def expanded(self, name: str) -> dict[str, Self]:
        """The splits that this one stands for, by name."""
        grid = {key: values for key, values in (("count", self.sizes), ("seed", self.seeds)) if values}
        single = {"sizes": (), "seeds": ()}
        return {entry: self.model_copy(update={**single, **chosen}) for entry, chosen in combinations(name, grid)}


class RandomSplit(DrawnSplit):
    """Fine-tuning classes drawn at random."""

    kind: Literal["random"] = Field(description="Which kind of split this is.")


class ClusteredSplit(DrawnSplit):
    """Fine-tuning classes that are similar: one drawn at random, and those that clustering joins to it first.

    The classes are clustered (average linkage, cosine distance) by the means of the pretrained model's features on the
    training samples of the source domain, so that no target data decides the split.
    """

    kind: Literal["clustered"] = Field(description="Which kind of split this is.")
    source: Name | None = Field(
        None, description="The source domain; by default that of the data set's tasks, if they have the same."
    )
    backbone: Name | None = Field(None, description="The model; by default the study's, if it has one.")


class ClassesSplit(Model):
    """Fine-tuning classes named one by one."""

    kind: Literal["classes"] = Field(description="Which kind of split this is.")
    fine_tuning: Listed[str | int] = Field(min_length=1, description="The classes in S, by name or by number.")


class PresentSplit(Model):
    """The fine-tuning classes are those that the target domain has training samples of: what one has images of."""

    kind: Literal["present"] = Field(description="Which kind of split this is.")
    target: Name | None = Field(
        None, description="The target domain; by default that of the data set's tasks, if they have the same."
    )


class OfficialSplit(Model):
    """The fine-tuning classes that the data set's publisher or the paper uses."""

    kind: Literal["official"] = Field(description="Which kind of split this is.")
    source: Name | None = Field(
        None,
        description="The source domain whose split this is, where they differ; it is for the tasks with this source. "
        "By default that of the data set's tasks, if they have the same.",
    )
    count: Count | None = Field(
        None, description="Number of classes in S, the first of the published order; by default as published."
    )


Split = Annotated[
    RandomSplit | ClusteredSplit | ClassesSplit | PresentSplit | OfficialSplit, Field(discriminator="kind")
]


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
    class_names: str | Listed[str] | None = Field(None, description="As `backbones.NAME.class_names`, for `weights`.")
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
            _distinct([text(value) for value in values])
        return grid

    @model_validator(mode="after")
    def _said_once(self) -> RecipeUse:
        both = sorted(self.grid.keys() & self.training.keys())
        if both:
            raise ValueError(f"`{both[0]}` stands in `training` and in `grid`")
        of_training = [key for key in ("recipe", "options", "training", "grid") if getattr(self, key)]
        if self.weights and of_training:
            raise ValueError(f"a recipe with `weights` is not trained, so `{of_training[0]}` means nothing")
        if self.class_names and not self.weights:
            raise ValueError("`class_names` belong to `weights`")
        return self

    def expanded(self, name: str) -> dict[str, RecipeUse]:
        """The recipes that this one stands for, by name."""
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


class PseudoSplits(Model):
    """Pseudo cross-validation: fine-tuning runs on parts of S (see `pcv`)."""

    folds: Count = Field(3, description="Number of pseudo-splits.")
    fine_tuning_fraction: Fraction = Field(0.5, description="Part of S that is pseudo-fine-tuning.")
    validation_fraction: Fraction = Field(0.2, description="Part of S's training samples kept for validation.")


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
            _distinct(value)
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
        entries = [(name, use) for key, entry in value.items() for name, use in _expanded(key, entry)]
        _distinct([name for name, _ in entries])
        return dict(entries)

    @field_validator("tasks", "seeds", mode="after")
    @classmethod
    def _no_duplicates(cls, value: Any) -> Any:
        for values in value.values() if isinstance(value, dict) else [value]:
            _distinct(values)
        return value

    def training_of(self, recipe: str) -> Training:
        """The study's training with what the recipe changes; augmentation is merged key by key."""
        base, changes = self.training.model_dump(), dict(self.recipes[recipe].training)
        if isinstance(changes.get("augmentation"), dict):
            changes["augmentation"] = {**base["augmentation"], **changes["augmentation"]}
        return Training.model_validate({**base, **changes})


def _expanded(name: str, entry: Any) -> Iterable[tuple[str, Any]]:
    return entry.expanded(name).items() if isinstance(entry, (DrawnSplit, RecipeUse)) else [(name, entry)]


def _distinct(values: Any) -> None:
    twice = sorted({repr(v) for v in values if list(values).count(v) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given more than once")


def plugin_options(kind: str, name: str, options: dict[str, Any]) -> BaseModel:
    """Options of a data set, recipe or calibrator, checked by its own typed model `Options`.

    Raises
    ------
    UserError
        For a name that does not exist (with the closest ones).
    pydantic.ValidationError
        For an option that does not exist or has a wrong value.
    """
    model: type[BaseModel] = plugins.load(kind, name).Options
    return model.model_validate(options)


__all__ = ["Model", "Study", "Training", "UserError", "plugin_options"]
