"""Selective distillation: cross-entropy + λ T² KL(softmax(z⁰_U/T) ‖ softmax(z_U/T)) over the absent classes alone.

From holistic transfer (Tu et al. 2023). z⁰ are the pretrained model's logits for the same augmented images, in
evaluation mode. Both softmaxes are over U, so what is kept is the relation among absent classes, not their height
beside S; with fewer than two absent classes the term is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from finecal.config import Model, NonNegative, Positive
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Tu et al. 2023, Holistic transfer (arXiv 2311.01420)"


class Options(Model):
    """How strong the distillation is."""

    strength: NonNegative = Field(1.0, description="λ, the weight of the distillation.")
    temperature: Positive = Field(2.0, description="T, which flattens both distributions.")


class Recipe(BaseRecipe[Options]):
    """Distillation of the absent logits."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything and keep the pretrained model as the teacher."""
        from finecal.recipes._reference import teacher

        self._teacher = teacher(model)
        self._absent = (~context.fine_tuning).nonzero().flatten()
        super().prepare(model, context)

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Cross-entropy over Y and distillation over U from one forward pass."""
        import torch
        from torch.nn.functional import cross_entropy

        from finecal.recipes._reference import distillation

        logits = model(images).float()
        fit = cross_entropy(logits, labels, label_smoothing=label_smoothing)
        if len(self._absent) < 2:
            return fit
        with torch.no_grad():
            pretrained = self._teacher(images)
        kept = distillation(logits[:, self._absent], pretrained[:, self._absent], self.options.temperature)
        return fit + self.options.strength * kept
