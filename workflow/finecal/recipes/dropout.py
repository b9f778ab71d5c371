"""Full fine-tuning with dropout of the features that the last layer reads.

It does what timm's `drop_rate` does, for every architecture. Being part of the recipe and not of the backbone, it lets
the run share the pretrained model with other recipes and save a model without dropout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from finecal.config import Fraction, Model
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Srivastava et al. 2014, Dropout, JMLR 15"


class Options(Model):
    """How much is dropped."""

    rate: Fraction = Field(0.5, description="Probability that a feature is dropped.")


class Recipe(BaseRecipe[Options]):
    """Dropout before the head."""

    def check(self, model: nn.Module) -> None:
        """Raise UserError if the backbone has dropout of its own."""
        from finecal.errors import UserError

        if getattr(model, "drop_rate", 0):
            raise UserError(
                f"the backbone has dropout already (drop_rate {model.drop_rate})", where="recipe dropout",
                hint="Set `drop_rate: 0` in the backbone's options",
            )  # fmt: skip

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything; put dropout before the head."""
        from torch.nn.functional import dropout

        from finecal.models.build import head

        self.check(model)
        super().prepare(model, context)

        def drop(module: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
            return (dropout(inputs[0], self.options.rate, training=module.training), *inputs[1:])

        self._hook = head(model).register_forward_pre_hook(drop)

    def finish(self, model: nn.Module) -> None:
        """Remove the dropout."""
        self._hook.remove()
