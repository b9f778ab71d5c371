"""Linear probe: only the last layer is trained, on the features of the pretrained model.

The backbone stays in evaluation mode, so the features are exactly those of θ⁰, without dropout or new batch statistics.
With `statistics: follow` the batch statistics move to the target domain, and the features with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from finecal.config import Model
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import nn


class Options(Model):
    """Options of the recipe."""

    augment: bool = Field(
        False,
        description="Train on augmented images: a forward pass of the backbone for every step. By default the features "
        "of the images as they are, resized only, are computed once.",
    )
    statistics: Literal["pretrained", "follow"] = Field(
        "pretrained",
        description="The batch statistics: those of the pretrained model, or moved by the training's batches as in "
        "the published code, whose backbone stays in training mode. `follow` needs `augment: true`.",
        json_schema_extra={"neutral": "pretrained"},
    )

    @model_validator(mode="after")
    def _of_images(self) -> Options:
        if self.statistics == "follow" and not self.augment:
            raise ValueError("`statistics: follow` needs `augment: true`, since features of moving statistics change")
        return self


class Recipe(BaseRecipe[Options]):
    """Only the last layer is trained."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.keeps_features = options.statistics == "pretrained"

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Freeze all but the head."""
        from finecal.models.build import head
        from finecal.recipes._frozen import train_only

        train_only(model, head(model).parameters())

    def on_features(self, step: int) -> bool:
        """Return True unless the images are augmented: then each has one fixed row of features."""
        return not self.options.augment

    def before_step(self, model: nn.Module, step: int) -> None:
        """Put the backbone into evaluation mode; where statistics follow, all but what keeps them."""
        model.eval()
        if self.options.statistics == "follow":
            from finecal.recipes._frozen import find_batch_normalisations

            for layer in find_batch_normalisations(model):
                layer.train()
