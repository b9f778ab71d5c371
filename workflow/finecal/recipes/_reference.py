"""The pretrained model θ⁰ as something to stay close to: its weights, or its logits."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from pydantic import Field

from finecal.config import Model, NonNegative, Positive
from finecal.recipes import BaseRecipe, Context

if TYPE_CHECKING:
    from torch import Tensor, nn


def copy_trained_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the trained parameters by name."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def squared_distance(model: nn.Module, start: dict[str, Tensor], weights: dict[str, Tensor] | None = None) -> Tensor:
    """Return Σᵢ wᵢ (θᵢ − θ⁰ᵢ)² over the parameters in `start`, a scalar; w is 1 by default."""
    import torch

    parameters = dict(model.named_parameters())
    squares = {name: (parameters[name] - value).square() for name, value in start.items()}
    if weights is not None:
        squares = {name: square * weights[name] for name, square in squares.items()}
    return torch.stack([square.sum() for square in squares.values()]).sum()


def distillation_loss(logits: Tensor, pretrained: Tensor, temperature: float) -> Tensor:
    """Return T² KL(softmax(z⁰/T) ‖ softmax(z/T)), the mean over (N, C) logits.

    The factor T² makes the gradient's size independent of T.
    """
    from torch.nn.functional import kl_div, log_softmax

    log_p, log_q = (log_softmax(z.float() / temperature, dim=1) for z in (pretrained, logits))
    return temperature**2 * kl_div(log_q, log_p, reduction="batchmean", log_target=True)


class DistillationOptions(Model):
    """How strong the distillation is."""

    strength: NonNegative = Field(1.0, description="λ, the weight of the distillation.")
    temperature: Positive = Field(2.0, description="T, which flattens both distributions.")


class DistillationRecipe(BaseRecipe[DistillationOptions]):
    """Cross-entropy + λ times the distillation loss of the logits that `distilled` selects."""

    def prepare(self, model: nn.Module, context: Context) -> None:
        """Train everything; keep a frozen copy of θ⁰ as the teacher."""
        # In evaluation mode it uses the batch statistics of θ⁰ and no dropout.
        self._teacher = copy.deepcopy(model).requires_grad_(False).eval()
        super().prepare(model, context)

    def distilled(self, logits: Tensor) -> Tensor:
        """Return those of (N, C) logits that take part in the distillation, (N, K); with K < 2 its loss is 0."""
        return logits

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        """Return the mean loss of a batch; the model runs once, and the teacher once on the same images."""
        import torch
        from torch.nn.functional import cross_entropy

        logits = model(images).float()
        fit = cross_entropy(logits, labels, label_smoothing=label_smoothing)
        distilled = self.distilled(logits)
        if distilled.shape[1] < 2:
            return fit
        with torch.no_grad():
            pretrained = self.distilled(self._teacher(images))
        return fit + self.options.strength * distillation_loss(distilled, pretrained, self.options.temperature)
