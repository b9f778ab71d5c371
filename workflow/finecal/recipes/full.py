"""Cross-entropy over all classes of Y; every parameter is trained."""

from __future__ import annotations

from finecal.config import Model
from finecal.recipes import BaseRecipe


class Options(Model):
    """This recipe has no options: optimiser and augmentation belong to `training`."""


class Recipe(BaseRecipe[Options]):
    """Full fine-tuning."""
