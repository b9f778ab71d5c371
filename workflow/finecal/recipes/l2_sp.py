"""L2-SP: full fine-tuning with the penalty λ/2 ‖θ − θ⁰‖² on all trained parameters, the head's too (Li et al. 2018).

It adds to `training.weight_decay`, which pulls to zero; set that to 0 to use the penalty alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from finecal.config import Model, NonNegative
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Li et al. 2018, Explicit inductive bias for transfer learning with convolutional networks (arXiv 1802.01483)"


class Options(Model):
    """How strong the pull is."""

    strength: NonNegative = Field(0.01, description="λ, the weight of the penalty.")


class Recipe(BaseRecipe[Options]):
    """A penalty on leaving θ⁰."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything; keep θ⁰."""
        from finecal.recipes._reference import copy_trained_parameters

        super().prepare(model, context)
        self._start = copy_trained_parameters(model)

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Return cross-entropy + λ/2 ‖θ − θ⁰‖²."""
        from finecal.recipes._reference import squared_distance

        fit = super().loss(model, images, labels, label_smoothing=label_smoothing)
        return fit + self.options.strength / 2 * squared_distance(model, self._start)
