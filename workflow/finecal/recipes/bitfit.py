"""BitFit: only biases are trained, including those of normalisation layers and of the head (Ben Zaken et al. 2022).

Batch statistics stay those of θ⁰, so that no tensor but biases changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from finecal.config import Model
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import nn

PAPER = "Ben Zaken et al. 2022, BitFit (arXiv 2106.10199)"


class Options(Model):
    """What is trained besides the biases."""

    head: bool = Field(False, description="Train the last layer's weights too.")


class Recipe(BaseRecipe[Options]):
    """Only biases."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Freeze all but the biases."""
        from finecal.models.build import head
        from finecal.recipes._frozen import find_biases, train_only

        train_only(model, [*find_biases(model), *(head(model).parameters() if self.options.head else [])])

    def before_step(self, model: nn.Module, step: int) -> None:
        """Keep the batch statistics."""
        from finecal.recipes._frozen import hold_statistics

        hold_statistics(model)
