"""The pretrained model θ⁰ as something to stay close to: its weights, or its logits."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


def trained_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the trained parameters by name."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def squared_distance(model: nn.Module, start: dict[str, Tensor], weights: dict[str, Tensor] | None = None) -> Tensor:
    """Σᵢ wᵢ (θᵢ − θ⁰ᵢ)² over the parameters in `start`; w is 1 by default. A scalar."""
    import torch

    parameters = dict(model.named_parameters())
    squares = {name: (parameters[name] - value).square() for name, value in start.items()}
    if weights is not None:
        squares = {name: square * weights[name] for name, square in squares.items()}
    return torch.stack([square.sum() for square in squares.values()]).sum()


def teacher(model: nn.Module) -> nn.Module:
    """A frozen copy in evaluation mode, so that it uses the statistics of θ⁰ and no dropout."""
    return copy.deepcopy(model).requires_grad_(False).eval()


def distillation(logits: Tensor, pretrained: Tensor, temperature: float) -> Tensor:
    """T² KL(softmax(z⁰/T) ‖ softmax(z/T)), mean over (N, C) logits; T² keeps the gradient's size for every T."""
    from torch.nn.functional import kl_div, log_softmax

    log_p, log_q = (log_softmax(z.float() / temperature, dim=1) for z in (pretrained, logits))
    return temperature**2 * kl_div(log_q, log_p, reduction="batchmean", log_target=True)
