"""Soup: the mean of the weights of several full fine-tunings from θ⁰ (Wortsman et al. 2022, uniform soup).

The members differ in the order of samples, augmentation and dropout. They are trained one after another within one
run, each a whole training, so the run costs `members` times as much, and so do its pseudo-splits. The history numbers
the members' epochs consecutively; only its last row is the soup's. Batch statistics are averaged like weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from finecal.config import Model
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import nn

PAPER = "Wortsman et al. 2022, Model soups (arXiv 2203.05482)"


class Options(Model):
    """How many models are averaged."""

    members: Annotated[int, Field(ge=2)] = Field(3, description="Number of trainings whose weights are averaged.")


class Recipe(BaseRecipe[Options]):
    """The mean of several runs."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.cycles = options.members

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything; keep θ⁰, from which every member starts."""
        from finecal.recipes._weights import Mean, copy_weights

        super().prepare(model, context)
        self._model, self._start, self._mean = model, copy_weights(model), Mean()
        self._member_steps = context.steps // self.cycles

    def before_step(self, model: nn.Module, step: int) -> None:
        """Set the model to θ⁰ where a member begins."""
        from finecal.recipes._weights import load_weights

        if step % self._member_steps == 0:
            load_weights(model, self._start)

    def after_step(self, model: nn.Module, step: int) -> None:
        """Add a finished member to the mean; after the last one, set the model to the mean."""
        if (step + 1) % self._member_steps == 0:
            self._mean.add(model)
            if self._mean.count == self.cycles:
                self._mean.load_into(model)

    def state_dict(self) -> dict[str, Any]:
        """Return the mean of the finished members."""
        return self._mean.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume with the same members."""
        self._mean.load_state_dict(state, self._model)
