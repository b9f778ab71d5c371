"""Models whose logits are a mean of several linear layers', as one linear layer: the same logits, and one head.

Distilled models have two: of DeiT and PiT they read two tokens, of EfficientFormer and SwiftFormer the same features,
of LeViT and RepViT these after two normalisations. CrossViT has one per branch, EfficientViM one per stage, whose
shares it learns. What they read, each multiplied with its share, is put side by side: these are the features. Layers
that read the same are one layer with their mean. Files have timm's names and layers, so that timm loads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

# The classes of timm's models whose two layers read the same.
SAME_FEATURES = frozenset({"EfficientFormer", "EfficientFormerV2", "SwiftFormer"})
NAME = "joined_head"


@dataclass(frozen=True)
class Layers:
    """The linear layers of a model whose logits are averaged.

    Attributes
    ----------
    names, widths
        Of each layer: its name in timm's model, and how many features it reads.
    groups
        For each group of layers of equal standing, the name of the tensor whose softmax has their shares; "" for equal
        ones. Groups themselves have equal shares.
    same
        Whether all read the same features.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    groups: tuple[str, ...]
    same: bool

    def own_tensors(self) -> list[str]:
        """Return the names of the layers' weights and biases."""
        return [f"{name}.{leaf}" for name in self.names for leaf in ("weight", "bias")]

    def tensors(self) -> list[str]:
        """Return the names of all that decides the joined head."""
        return [*self.own_tensors(), *filter(None, self.groups)]

    def shares(self, state: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the share of each layer, of the tensors of the model."""
        number = len(self.names) // len(self.groups)
        found: list[Tensor] = []
        for group in self.groups:
            of_group = state[group].double().softmax(0) if group else torch.ones(number, dtype=torch.float64) / number
            found += [share / len(self.groups) for share in of_group]
        return found

    def shares_of_features(self, state: Mapping[str, Tensor]) -> dict[str, float]:
        """Return by what each layer's features are multiplied, in the order in which they stand side by side."""
        found = dict(zip(self.names, map(float, self.shares(state)), strict=True))
        return {self.names[0]: 1.0} if self.same else found


class _Beside(nn.Module):
    """Stands for one of the layers: puts what it reads at its place among the features of all, with zeros around."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.around = (before, after)

    def forward(self, features: Tensor) -> Tensor:
        return functional.pad(features, self.around)


class _OneHead:
    """What a class of timm's models becomes: its own mean of `_Beside` is the features of the one head."""

    layers: Layers

    def get_classifier(self) -> nn.Module:
        head: nn.Module = getattr(self, NAME)
        return head

    def forward_head(self, x: Any, pre_logits: bool = False) -> Tensor:
        features: Tensor = super().forward_head(x)  # type: ignore[misc]
        if pre_logits:
            return features
        logits: Tensor = getattr(self, NAME)(features)
        return logits


def layers_of(model: nn.Module) -> Layers | None:
    """Return the layers that a model has joined, or has to join; None if it has a single classifier."""
    if isinstance(model, _OneHead):
        return model.layers
    classifier: Any = model.get_classifier()  # type: ignore[operator]
    groups: tuple[str, ...] = ("",)
    if getattr(classifier, "distillation", False):  # a module of RepViT and iFormer that holds both
        parts: list[Any] = [classifier.head, classifier.head_dist]
    elif isinstance(classifier, nn.ModuleList):
        parts = [*classifier]
    elif isinstance(classifier, tuple):
        parts = [one for part in classifier for one in (part if isinstance(part, nn.ModuleList) else [part])]
    else:
        return None
    names = {module: name for name, module in model.named_modules()}
    last = [[one for one in part.modules() if isinstance(one, nn.Linear)] for part in parts]
    if not all(last) or any(found[-1].bias is None for found in last):
        return None
    linear = [found[-1] for found in last]
    if isinstance(getattr(model, "weights", None), nn.Parameter):  # EfficientViM's shares
        groups = ("weights", "weights_dist") if isinstance(classifier, tuple) else ("weights",)
    same = any(kind.__name__ in SAME_FEATURES for kind in type(model).__mro__)
    return Layers(tuple(names[one] for one in linear), tuple(one.in_features for one in linear), groups, same)


@torch.no_grad()
def join_classifiers(model: nn.Module) -> None:
    """Give a model with several classifiers one head, in place; its logits stay the same. Others stay as they are."""
    layers = layers_of(model)
    if layers is None or isinstance(model, _OneHead):
        return
    state = join_state(model.state_dict(), layers)
    weight, bias = state[f"{NAME}.weight"], state[f"{NAME}.bias"]
    total, before = weight.shape[1], 0
    for name, width in zip(layers.names, layers.widths, strict=True):
        model.set_submodule(name, _Beside(before, total - before - width))
        before += 0 if layers.same else width
    head = nn.Linear(total, len(weight), device=weight.device, dtype=weight.dtype)
    head.weight.copy_(weight)
    head.bias.copy_(bias)
    model.add_module(NAME, head)
    kind = type(model)
    body = {"layers": layers, "__module__": kind.__module__, "__doc__": kind.__doc__}
    model.__class__ = type(kind.__name__, (_OneHead, kind), body)


def join_state(state: Mapping[str, Tensor], layers: Layers | None) -> dict[str, Tensor]:
    """Return tensors of timm's model under the names of the joined one; as they are if they are not all there."""
    if layers is None or any(name not in state for name in layers.tensors()):
        return dict(state)
    weights, biases = ([state[f"{name}.{leaf}"] for name in layers.names] for leaf in ("weight", "bias"))
    shares = layers.shares(state)
    weight = _mean(weights, shares) if layers.same else torch.cat(weights, dim=1)
    own = layers.own_tensors()
    rest = {name: tensor for name, tensor in state.items() if name not in own}
    return {**rest, f"{NAME}.weight": weight, f"{NAME}.bias": _mean(biases, shares)}


def split_state(state: Mapping[str, Tensor], layers: Layers | None) -> dict[str, Tensor]:
    """Return tensors of the joined model under timm's names: what `join_state` makes the same of again."""
    weight, bias = state.get(f"{NAME}.weight"), state.get(f"{NAME}.bias")
    if layers is None or weight is None or bias is None:
        return dict(state)
    parts = [weight] * len(layers.names) if layers.same else [*torch.split(weight, list(layers.widths), dim=1)]
    found = {name: tensor for name, tensor in state.items() if not name.startswith(f"{NAME}.")}
    for name, part in zip(layers.names, parts, strict=True):
        found |= {f"{name}.weight": part, f"{name}.bias": bias}
    return found


def _mean(tensors: Sequence[Tensor], shares: Sequence[Tensor]) -> Tensor:
    """Sum up tensors with shares, of which the sum is one; in float64."""
    whole = sum(share * tensor.double() for share, tensor in zip(shares, tensors, strict=True))
    return cast(Tensor, whole).to(tensors[0].dtype)
