"""Selective distillation: cross-entropy + λ T² KL(softmax(z⁰_U/T) ‖ softmax(z_U/T)) over the absent classes alone.

From holistic transfer (Tu et al. 2023). z⁰ are the pretrained model's logits for the same augmented images, in
evaluation mode. Both softmaxes are over U, so the term keeps the relation among absent classes, not their height
compared with S. With fewer than two absent classes it is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from finecal.recipes import Context
from finecal.recipes._reference import DistillationOptions, DistillationRecipe

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Tu et al. 2023, Holistic transfer (arXiv 2311.01420)"


class Options(DistillationOptions):
    """How strong the distillation is."""


class Recipe(DistillationRecipe):
    """Distillation of the absent logits."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything; keep the teacher, and which classes are absent."""
        self._absent = (~context.fine_tuning).nonzero().flatten()
        super().prepare(model, context)

    def distilled(self, logits: Tensor) -> Tensor:
        """Return the logits of U."""
        return logits[:, self._absent]
