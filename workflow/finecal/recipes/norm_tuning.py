"""Norm tuning: only the affine parameters of normalisation layers are trained.

Batch statistics follow the target domain, as in full fine-tuning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from finecal.config import Model
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import nn


class Options(Model):
    """What is trained besides the normalisation layers."""

    head: bool = Field(False, description="Train the last layer too.")


class Recipe(BaseRecipe[Options]):
    """Only scales and shifts of normalisation are trained."""

    def check(self, model: nn.Module) -> None:
        """Raise UserError if there is no normalisation layer with parameters of its own."""
        from finecal.errors import UserError
        from finecal.recipes._frozen import find_normalisations

        if not find_normalisations(model):
            raise UserError("the backbone has no normalisation layer with parameters", where="recipe norm_tuning")

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Freeze all but the normalisation layers' own parameters."""
        from finecal.models.build import head
        from finecal.recipes._frozen import find_normalisations, train_only

        self.check(model)
        own = [p for layer in find_normalisations(model) for p in layer.parameters(recurse=False)]
        train_only(model, [*own, *(head(model).parameters() if self.options.head else [])])
