"""Options of training, from pretraining to the pseudo-splits of PCV."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from finecal.config.types import Count, Fraction, Model, NonNegative, Positive, Probability, Range, Seed
from finecal.errors import UserError
from finecal.models import timm_names


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
        try:
            timm_names.check_optimizer(value)
        except UserError as error:
            raise ValueError from error  # pydantic adds the key path
        return value

    @field_validator("momentum")
    @classmethod
    def _nesterov_needs_it(cls, value: float, others: ValidationInfo) -> float:
        name = others.data.get("optimizer")
        if value == 0 and name in ("sgd", "nesterov", "sgdw", "nesterovw"):
            raise ValueError(f"`{name}` is Nesterov SGD and needs some; the optimiser `momentum` does without")
        return value


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


class PseudoSplits(Model):
    """Pseudo cross-validation: fine-tuning runs on parts of S (see `pcv`)."""

    folds: Count = Field(3, description="Number of pseudo-splits.")
    fine_tuning_fraction: Fraction = Field(0.5, description="Part of S that is pseudo-fine-tuning.")
    validation_fraction: Fraction = Field(0.2, description="Part of S's training samples kept for validation.")
