"""Linear probe: only the last layer is trained, on the features of the pretrained model.

The backbone stays in evaluation mode, so the features are exactly those of θ⁰: no dropout, no new batch statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from finecal.config import Model
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import nn


class Options(Model):
    """This recipe has no options."""


class Recipe(BaseRecipe[Options]):
    """The last layer alone."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Freeze all but the head."""
        from finecal.models import head
        from finecal.recipes._frozen import train_only

        train_only(model, head(model).parameters())

    def before_step(self, model: nn.Module, step: int) -> None:
        """The features are those of θ⁰."""
        model.eval()
