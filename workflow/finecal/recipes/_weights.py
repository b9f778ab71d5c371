"""Copies and means of a model's weights, its buffers (batch statistics) included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

Weights = dict[str, "Tensor"]


def copy_of(model: nn.Module) -> Weights:
    """All weights and buffers by name."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def put_into(model: nn.Module, weights: Weights) -> None:
    """Set all weights and buffers, in place, so that an optimiser keeps its parameters."""
    import torch

    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(weights[name])


class Mean:
    """The mean of several models' weights, summed in float64; of integers (counters of batches) the largest."""

    def __init__(self) -> None:
        self.count, self.total = 0, Weights()

    def add(self, model: nn.Module) -> None:
        """Take in one model."""
        import torch

        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                self.total[name] = torch.maximum(self.total.get(name, tensor), tensor).clone()
            elif name in self.total:
                self.total[name] += tensor.double()
            else:
                self.total[name] = tensor.detach().to(torch.float64, copy=True)
        self.count += 1

    def put_into(self, model: nn.Module) -> None:
        """Give a model the mean of those that were added, in its own data types."""
        put_into(model, {k: v / self.count if v.is_floating_point() else v for k, v in self.total.items()})

    def state_dict(self) -> dict[str, Any]:
        """For the state of an unfinished training."""
        return {"count": self.count, "total": dict(self.total)}

    def load_state_dict(self, state: dict[str, Any], model: nn.Module) -> None:
        """Take over what `state_dict` gave, on the model's device."""
        device = next(model.parameters()).device
        self.count, self.total = state["count"], {k: v.to(device) for k, v in state["total"].items()}
