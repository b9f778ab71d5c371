"""Full fine-tuning with frozen batch normalisation: its statistics and its affine parameters stay those of θ⁰."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finecal.config import Model
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import nn


class Options(Model):
    """This recipe has no options."""


class Recipe(BaseRecipe[Options]):
    """Everything but batch normalisation is trained."""

    def check(self, model: nn.Module) -> None:
        """Raise UserError if the backbone has no batch normalisation."""
        from finecal.errors import UserError
        from finecal.recipes._frozen import find_batch_normalisations

        if not find_batch_normalisations(model):
            raise UserError("the backbone has no batch normalisation", where="recipe frozen_bn")

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Freeze the batch normalisation layers."""
        from finecal.recipes._frozen import find_batch_normalisations

        self.check(model)
        model.requires_grad_(True)
        for layer in find_batch_normalisations(model):
            layer.requires_grad_(False)

    def before_step(self, model: nn.Module, step: int) -> None:
        """Keep the batch statistics."""
        from finecal.recipes._frozen import hold_statistics

        hold_statistics(model)
