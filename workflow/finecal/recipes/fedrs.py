"""FedRS: in the cross-entropy the absent logits are scaled, z_U ← α z_U (restricted softmax, Li & Zhan 2021).

α = 1 is full fine-tuning. α also scales the gradient of U's rows. It is part of the loss, not of the finished model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from finecal.config import Model, Probability
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Li and Zhan 2021, FedRS: federated learning with restricted softmax for label distribution non-IID data, KDD"


class Options(Model):
    """How much the absent classes count in the loss."""

    alpha: Probability = Field(0.5, description="α, the factor of the absent logits in the loss.")


class Recipe(BaseRecipe[Options]):
    """Restricted softmax."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything; keep the factor of each class."""
        super().prepare(model, context)
        self._scale = context.fine_tuning.float() + self.options.alpha * (~context.fine_tuning).float()

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Return the cross-entropy of the scaled logits."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(model(images).float() * self._scale, labels, label_smoothing=label_smoothing)
