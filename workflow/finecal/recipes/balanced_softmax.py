"""Balanced softmax: cross-entropy of z_c + log π_c, so that the model need not learn the class frequencies π.

π_c = (n_c + smoothing) / (N + C · smoothing), of the training samples; the finished model's logits are z alone. A
class without samples has π = 0 and log π = −∞: with `smoothing: 0` it is out of the softmax, so the absent logits get
no gradient, and what is left is `seen_only` with balanced frequencies in S. With `smoothing` > 0 the absent classes
stay in the softmax as if they had that many samples, and the loss pushes them down no further than that: it is a γ set
by hand, before training instead of after. Label smoothing, if any, is spread over the classes in the softmax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from finecal.config import Count, Model, NonNegative, Positive
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import Tensor, nn

PAPER = "Ren et al. 2020, Balanced meta-softmax for long-tailed visual recognition (arXiv 2007.10740)"


class Options(Model):
    """The frequencies, and which parameters train."""

    smoothing: NonNegative = Field(
        0.0, description="Samples added to each class's count; at 0 the absent classes are not in the loss."
    )
    rank: Count | None = Field(
        None,
        description="Train low-rank updates of this rank and the last layer, as the recipe `lora` does, instead of "
        "everything.",
    )
    alpha: Positive = Field(8.0, description="α of the low-rank updates, as in `lora`.")


class Recipe(BaseRecipe[Options]):
    """Cross-entropy with the class frequencies added to the logits."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Choose what trains; count the samples of each class."""
        import torch

        if self.options.rank is None:
            super().prepare(model, context)
        else:
            self._add_updates(model, self.options.rank)
        counts = torch.bincount(context.labels, minlength=len(context.fine_tuning)).double() + self.options.smoothing
        self._classes = counts.nonzero().flatten()
        self._number = (counts > 0).long().cumsum(dim=0) - 1
        self._log_prior = (counts / counts.sum())[self._classes].log().float()

    def _add_updates(self, model: nn.Module, rank: int) -> None:
        from torch import nn
        from torch.nn.utils import parametrize

        from finecal.models.build import head
        from finecal.recipes._lowrank import LowRank

        last = head(model)
        model.requires_grad_(False)
        for module in [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d)) and m is not last]:
            parametrize.register_parametrization(module, "weight", LowRank(module.weight, rank, self.options.alpha))
        last.requires_grad_(True)

    def before_step(self, model: nn.Module, step: int) -> None:
        """Keep the batch statistics where low-rank updates are trained, as `lora` does."""
        from finecal.recipes._frozen import hold_statistics

        if self.options.rank is not None:
            hold_statistics(model)

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Return the cross-entropy of the logits plus log π."""
        from torch.nn.functional import cross_entropy

        logits = model(images).float()[:, self._classes] + self._log_prior
        return cross_entropy(logits, self._number[labels], label_smoothing=label_smoothing)

    def finish(self, model: nn.Module) -> None:
        """Merge the low-rank updates, if there are any."""
        from torch.nn.utils import parametrize

        for module in list(model.modules()):
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
