"""Last layers other than timm's linear one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from finecal.errors import UserError


class CosineHead(nn.Linear):
    """Cosine classifier: the logit of class c is s · cos(h, w_c), without a bias (Gidaris & Komodakis 2018).

    A linear layer with normalised features and rows: `weight` (C, D) holds the rows w_c, so analyses of a head's rows
    work as for a linear one, but the rows' lengths have no meaning. The logits lie in [−s, s]. γ is added to logits, as
    always; it cannot be folded into a bias, since there is none.

    Parameters
    ----------
    scale
        Initial value of s.
    learned
        Whether s is a parameter or constant.
    """

    scale: Tensor

    def __init__(self, features: int, classes: int, *, scale: float, learned: bool) -> None:
        super().__init__(features, classes, bias=False)
        start = torch.tensor(float(scale))
        if learned:
            self.scale = nn.Parameter(start)
        else:
            self.register_buffer("scale", start)

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits (N, C) of features (N, D) or maps (N, D, 1, 1) in float32: 16 bits are too coarse."""
        with torch.autocast(features.device.type, enabled=False):
            unit = functional.normalize(features.flatten(1).float(), dim=-1)
            return self.scale * functional.linear(unit, functional.normalize(self.weight, dim=-1))


def attach_cosine_head(model: nn.Module, linear: nn.Linear, *, scale: float, learned: bool) -> None:
    """Replace a model's linear head, in place, by a cosine head that starts with its rows."""
    name = next(name for name, module in model.named_modules() if module is linear)
    head = CosineHead(linear.in_features, linear.out_features, scale=scale, learned=learned)
    head.weight.data.copy_(linear.weight.data)
    model.set_submodule(name, head)


def insert_projection(model: nn.Module, linear: nn.Linear, width: int) -> nn.Linear:
    """Insert a linear layer without bias between a model's features and a new head of that width; return the head.

    In timm's vision transformers it goes between pooling and head, where a model that reads its class token has
    nothing. The features, for the head and for class means, are then those after the projection.

    Raises
    ------
    UserError
        If the model has no such place.
    """
    if not isinstance(getattr(model, "fc_norm", None), nn.Identity) or linear is not getattr(model, "head", None):
        raise UserError(
            f"a {type(model).__name__} has no place for a projection before its head", where="backbones",
            why="timm's vision transformers that take the class token have one",
        )  # fmt: skip
    model.fc_norm = nn.Linear(linear.in_features, width, bias=False)
    model.head = nn.Linear(width, linear.out_features)
    return model.head


# The option of a vision transformer whose head reads the class token beside the mean of the patches, as DINOv2's.
POOLED_TWICE = ("global_pool", "token_and_mean")


class TokenAndMean(nn.Module):
    """Pooling of tokens (N, T, D) to (N, 2D): the class token, then the mean of the patches."""

    def __init__(self, prefix_tokens: int) -> None:
        super().__init__()
        self.prefix_tokens = prefix_tokens

    def forward(self, tokens: Tensor) -> Tensor:
        """Pool; further tokens than the class's before the patches are left out."""
        return torch.cat([tokens[:, 0], tokens[:, self.prefix_tokens :].mean(dim=1)], dim=1)


def is_pooled_twice(options: Mapping[str, Any]) -> bool:
    """Return whether options of a model ask for it, which timm does not know."""
    name, value = POOLED_TWICE
    return options.get(name) == value


def pool_token_and_mean(model: nn.Module, classes: int) -> None:
    """Let the head of a vision transformer read the class token beside the mean of the patches.

    Raises
    ------
    UserError
        If the model is none that takes the class token.
    """
    if getattr(model, "global_pool", None) != "token" or not hasattr(model, "pool_include_prefix"):
        raise UserError(
            f"a {type(model).__name__} cannot have `{': '.join(POOLED_TWICE)}`", where="backbones",
            why="timm's vision transformers that take the class token can",
        )  # fmt: skip
    old: Any = model.head
    model.attn_pool = TokenAndMean(int(model.num_prefix_tokens))  # type: ignore[arg-type]
    model.pool_include_prefix = True  # type: ignore[assignment]
    model.head = nn.Linear(2 * old.in_features, classes)
