"""Choose the parameters that train; keep the batch statistics of θ⁰."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def train_only(model: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
    """Freeze all parameters but these."""
    model.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)


def find_normalisations(model: nn.Module) -> list[nn.Module]:
    """Return the normalisation layers with parameters of their own: batch, layer, group, RMS, ….

    They are recognised by "norm" in the name of their class, as in torch and timm. timm's blocks that only contain such
    a layer (`ConvNormAct`) have no parameters of their own.
    """
    return [
        module
        for module in model.modules()
        if "norm" in type(module).__name__.lower() and any(True for _ in module.parameters(recurse=False))
    ]


def find_batch_normalisations(model: nn.Module) -> list[nn.Module]:
    """Return the layers that keep running statistics."""
    return [module for module in model.modules() if getattr(module, "running_mean", None) is not None]


def hold_statistics(model: nn.Module) -> None:
    """Make batch normalisation use its running statistics without updating them, until the next `model.train()`."""
    for module in find_batch_normalisations(model):
        module.eval()
