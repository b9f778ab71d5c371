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

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Freeze the batch normalisation layers.

        Raises
        ------
        UserError
            If the backbone has none.
        """
        from finecal.errors import UserError
        from finecal.recipes._frozen import find_batch_normalisations

        layers = find_batch_normalisations(model)
        if not layers:
            raise UserError("the backbone has no batch normalisation", where="recipe frozen_bn")
        model.requires_grad_(True)
        for layer in layers:
            layer.requires_grad_(False)

    def before_step(self, model: nn.Module, step: int) -> None:
        """Keep the batch statistics."""
        from finecal.recipes._frozen import hold_statistics

        hold_statistics(model)
