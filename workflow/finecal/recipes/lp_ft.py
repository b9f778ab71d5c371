"""LP-FT: a linear probe, then full fine-tuning from it, each a whole training (Kumar et al. 2022).

Each has all epochs, the whole schedule of the learning rate and an optimiser of its own; the history numbers the epochs
of both consecutively. The probe keeps the backbone in evaluation mode, as `linear_probe` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from finecal.config import Model
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import nn

PAPER = (
    "Kumar et al. 2022, Fine-tuning can distort pretrained features and underperform out-of-distribution "
    "(arXiv 2202.10054)"
)


class Options(Model):
    """Options of the recipe."""

    augment_probe: bool = Field(
        False, description="Train the probe, too, on augmented images; see the option `augment` of linear_probe."
    )


class Recipe(BaseRecipe[Options]):
    """Train the last layer first, then everything."""

    cycles = 2

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Give all parameters to the optimiser; in the first half only the head has gradients."""
        model.requires_grad_(True)
        self._probe_steps = context.steps // self.cycles

    def on_features(self, step: int) -> bool:
        """Return True in the first half, unless its images are augmented."""
        return step < self._probe_steps and not self.options.augment_probe

    def before_step(self, model: nn.Module, step: int) -> None:
        """Choose what has gradients; in the first half put the backbone into evaluation mode."""
        from finecal.models.build import head
        from finecal.recipes._frozen import train_only

        if step < self._probe_steps:
            train_only(model, head(model).parameters())
            model.eval()
        else:
            model.requires_grad_(True)
