"""Choose the parameters that train; keep the batch statistics of θ⁰."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

# The modules of torch and timm whose classes are normalisation layers.
NORMALISATIONS = frozenset(
    [
        *(f"torch.nn.modules.{name}" for name in ("batchnorm", "instancenorm", "normalization")),
        *(f"timm.layers.{name}" for name in ("norm", "norm_act", "evo_norm", "filter_response_norm", "grn")),
        *(f"timm.layers.{name}" for name in ("inplace_abn", "split_batchnorm")),
    ]
)
BIAS = re.compile(r"(^|[._])bias(_[ih]h_l\d+(_reverse)?)?$|(^|\.)beta$")


def train_only(model: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
    """Freeze all parameters but these."""
    model.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)


def find_normalisations(model: nn.Module) -> list[nn.Module]:
    """Return the normalisation layers with parameters of their own: batch, layer, group, RMS, ….

    They are those that torch and timm define as such, and what is derived from them. The name of a class says nothing:
    a `NormFreeBlock` has a gain of its own, and `ConvNormAct` only contains such a layer.
    """
    return [
        module
        for module in model.modules()
        if any(base.__module__ in NORMALISATIONS for base in type(module).__mro__)
        and any(True for _ in module.parameters(recurse=False))
    ]


def find_biases(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are added to what a layer computes, each once.

    torch and timm call them `bias`, `q_bias` and the like, `bias_ih_l0` in an LSTM, and `beta` in ResMLP's affine
    layers. Tables of biases between positions (`attention_biases`, `relative_position_bias_table`) are position
    embeddings and not among them.
    """
    return [parameter for name, parameter in model.named_parameters() if BIAS.search(name)]


def find_batch_normalisations(model: nn.Module) -> list[nn.Module]:
    """Return the layers that keep running statistics."""
    return [module for module in model.modules() if getattr(module, "running_mean", None) is not None]


def hold_statistics(model: nn.Module) -> None:
    """Make batch normalisation use its running statistics without updating them, until the next `model.train()`."""
    for module in find_batch_normalisations(model):
        module.eval()
