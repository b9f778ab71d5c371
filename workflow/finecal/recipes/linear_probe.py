"""Linear probe: only the last layer is trained, on the features of the pretrained model.

The backbone stays in evaluation mode, so the features are exactly those of θ⁰, without dropout or new batch statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

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


class Recipe(BaseRecipe[Options]):
    """Only the last layer is trained."""

    keeps_features = True

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Freeze all but the head."""
        from finecal.models.build import head
        from finecal.recipes._frozen import train_only

        train_only(model, head(model).parameters())

    def on_features(self, step: int) -> bool:
        """Return True unless the images are augmented: then each has one fixed row of features."""
        return not self.options.augment

    def before_step(self, model: nn.Module, step: int) -> None:
        """Put the backbone into evaluation mode."""
        model.eval()
