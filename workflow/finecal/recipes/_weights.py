"""Copies and means of a model's weights, including its buffers (batch statistics)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

Weights = dict[str, "Tensor"]


def copy_weights(model: nn.Module) -> Weights:
    """Return copies of all weights and buffers by name."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def load_weights(model: nn.Module, weights: Weights) -> None:
    """Set all weights and buffers in place, so that an optimiser keeps its parameters."""
    import torch

    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(weights[name])


class Mean:
    """The mean of several models' weights, summed in float64; the maximum of integers (counters of batches).

    Attributes
    ----------
    count
        Number of models added so far.
    """

    def __init__(self) -> None:
        self.count, self.total = 0, Weights()

    def add(self, model: nn.Module) -> None:
        """Add a model."""
        import torch

        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                self.total[name] = torch.maximum(self.total.get(name, tensor), tensor).clone()
            elif name in self.total:
                self.total[name] += tensor.double()
            else:
                self.total[name] = tensor.detach().to(torch.float64, copy=True)
        self.count += 1

    def load_into(self, model: nn.Module) -> None:
        """Set a model to the mean of those that were added, in its own data types."""
        load_weights(model, {k: v / self.count if v.is_floating_point() else v for k, v in self.total.items()})

    def state_dict(self) -> dict[str, Any]:
        """Return count and sums for the state of an unfinished training."""
        return {"count": self.count, "total": dict(self.total)}

    def load_state_dict(self, state: dict[str, Any], model: nn.Module) -> None:
        """Restore what `state_dict` returned, on the model's device."""
        device = next(model.parameters()).device
        self.count, self.total = state["count"], {k: v.to(device) for k, v in state["total"].items()}
