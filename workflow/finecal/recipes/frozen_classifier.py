"""Frozen classifier: everything but the last layer is trained.

Batch statistics follow the target domain, as in full fine-tuning.
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
    """All but the last layer."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Freeze the head."""
        from finecal.models.build import head

        model.requires_grad_(True)
        head(model).requires_grad_(False)
