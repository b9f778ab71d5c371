"""LoRA: low-rank updates W⁰ + (α/r) B A of linear and convolution layers (Hu et al. 2022), merged at the end.

B (out × r) starts at zero, A (r × in) as torch initialises a linear layer. A convolution's kernel is a matrix with one
row per output channel. All else is frozen, and batch statistics stay those of θ⁰; `head` says how the last layer is
trained. The saved model has ordinary weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from finecal.config import Count, Model, Positive
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import nn

PAPER = "Hu et al. 2022, LoRA (arXiv 2106.09685)"


class Options(Model):
    """Size of the updates."""

    rank: Count = Field(4, description="r; a layer with a smaller side takes that.")
    alpha: Positive = Field(8.0, description="α: updates are scaled by α/r.")
    head: Literal["full", "low_rank", "frozen"] = Field(
        "full", description="The last layer: weights and bias as they are, a low-rank update, or frozen."
    )


class Recipe(BaseRecipe[Options]):
    """Low-rank updates."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Freeze everything; add A and B to each weight."""
        from torch import nn
        from torch.nn.utils import parametrize

        from finecal.models.build import head
        from finecal.recipes._lowrank import LowRank

        model.requires_grad_(False)
        last = head(model)
        for module in [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]:
            if module is not last or self.options.head == "low_rank":
                update = LowRank(module.weight, self.options.rank, self.options.alpha)
                parametrize.register_parametrization(module, "weight", update)
        if self.options.head == "full":
            last.requires_grad_(True)

    def before_step(self, model: nn.Module, step: int) -> None:
        """Keep the batch statistics."""
        from finecal.recipes._frozen import hold_statistics

        hold_statistics(model)

    def finish(self, model: nn.Module) -> None:
        """Replace each weight by W⁰ + (α/r) B A."""
        from torch.nn.utils import parametrize

        for module in list(model.modules()):
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
