"""LwF: cross-entropy + λ T² KL(softmax(z⁰/T) ‖ softmax(z/T)) on the batches of S (Li & Hoiem 2016).

z⁰ are the pretrained model's logits for the same augmented images, in evaluation mode. The softmax is over all of Y:
the head has one row per class of Y before and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from finecal.config import Model, NonNegative, Positive
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Li and Hoiem 2016, Learning without forgetting (arXiv 1606.09282)"


class Options(Model):
    """How strong the distillation is."""

    strength: NonNegative = Field(1.0, description="λ, the weight of the distillation.")
    temperature: Positive = Field(2.0, description="T, which flattens both distributions.")


class Recipe(BaseRecipe[Options]):
    """Learning without forgetting."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything and keep the pretrained model as the teacher."""
        from finecal.recipes._reference import teacher

        self._teacher = teacher(model)
        super().prepare(model, context)

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Cross-entropy and distillation from one forward pass."""
        import torch
        from torch.nn.functional import cross_entropy

        from finecal.recipes._reference import distillation

        logits = model(images).float()
        with torch.no_grad():
            pretrained = self._teacher(images)
        fit = cross_entropy(logits, labels, label_smoothing=label_smoothing)
        return fit + self.options.strength * distillation(logits, pretrained, self.options.temperature)
