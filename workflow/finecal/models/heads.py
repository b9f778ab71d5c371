"""Last layers beside timm's linear one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from finecal.errors import UserError


class CosineHead(nn.Linear):
    """Cosine classifier: the logit of class c is s · cos(h, w_c), without a bias (Gidaris & Komodakis 2018).

    It is a linear layer whose features and rows are normalised: `weight` (C, D) holds the rows w_c, so what looks at
    the rows of a head works as for a linear one, but their lengths mean nothing. The logits lie in [−s, s]. γ is added
    to logits, as always; it cannot be folded into a bias, since there is none.

    Parameters
    ----------
    scale
        s at the start.
    learned
        Whether s is a parameter, or stays.
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
        """(N, D) → (N, C) float32: 16 bits would round logits as large as s too coarsely."""
        with torch.autocast(features.device.type, enabled=False):
            unit = functional.normalize(features.float(), dim=-1)
            return self.scale * functional.linear(unit, functional.normalize(self.weight, dim=-1))


def with_cosine_head(model: nn.Module, linear: nn.Linear, *, scale: float, learned: bool) -> None:
    """Put a cosine head in the place of a model's linear one; the rows of the linear one are its start."""
    name = next(name for name, module in model.named_modules() if module is linear)
    head = CosineHead(linear.in_features, linear.out_features, scale=scale, learned=learned)
    head.weight.data.copy_(linear.weight.data)
    model.set_submodule(name, head)


def with_projection(model: nn.Module, linear: nn.Linear, width: int) -> nn.Linear:
    """Put a linear layer without bias between a model's features and a new head of that width, which is returned.

    timm's vision transformers have a place for it: what stands between pooling and head, where a model that takes its
    class token has nothing. So the features are those after the projection, for the head and for class means.

    Raises
    ------
    UserError
        If the model is none of these.
    """
    if not isinstance(getattr(model, "fc_norm", None), nn.Identity) or linear is not getattr(model, "head", None):
        raise UserError(
            f"a {type(model).__name__} has no place for a projection before its head", where="backbones",
            why="timm's vision transformers that take the class token have one",
        )  # fmt: skip
    model.fc_norm = nn.Linear(linear.in_features, width, bias=False)
    model.head = nn.Linear(width, linear.out_features)
    return model.head
