"""Cross-entropy with a softmax over S alone: the absent logits are never pushed down.

The head's rows of U get no gradient; weight decay and changes of the features still act on them. Label smoothing, if
any, is spread over S.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from finecal.config import Model
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import Tensor, nn


class Options(Model):
    """This recipe has no options."""


class Recipe(BaseRecipe[Options]):
    """A loss without the absent classes."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything; number the classes of S from 0."""
        super().prepare(model, context)
        self._classes = context.fine_tuning.nonzero().flatten()
        self._number_in_s = context.fine_tuning.long().cumsum(dim=0) - 1

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Return the cross-entropy over S."""
        from torch.nn.functional import cross_entropy

        logits = model(images).float()[:, self._classes]
        return cross_entropy(logits, self._number_in_s[labels], label_smoothing=label_smoothing)
