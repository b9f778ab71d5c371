"""A small network for points in the plane, registered with timm as `finecal_mlp`.

It reads the images that the data set `toy` makes of points.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import register_model
from torch import Tensor, nn


class PlaneMLP(nn.Module):
    """Two hidden layers with ReLU and a linear head, on the two coordinates of a point.

    Parameters
    ----------
    num_classes
        Rows of the head.
    hidden
        Width of both hidden layers.
    """

    def __init__(self, num_classes: int, hidden: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, num_classes)

    def get_classifier(self) -> nn.Module:
        return self.head

    def forward_features(self, images: Tensor) -> Tensor:
        """Compute (N, hidden) of (N, channels, H, W): x is the mean brightness of the left half, y of the right."""
        left, right = images.tensor_split(2, dim=3)
        return self.body(torch.stack([left.mean(dim=(1, 2, 3)), right.mean(dim=(1, 2, 3))], dim=1))  # type: ignore[no-any-return]

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        return features if pre_logits else self.head(features)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


@register_model  # type: ignore[untyped-decorator]  # timm has no types
def finecal_mlp(
    pretrained: bool = False, *, num_classes: int = 4, in_chans: int = 1, hidden: int = 32, **of_timm: Any
) -> PlaneMLP:
    """Create a `PlaneMLP`; it takes any number of channels, since it reads their mean."""
    if pretrained:
        raise ValueError("there are no pretrained weights of this model")
    unknown = [name for name, value in of_timm.items() if not name.startswith(("pretrained_cfg", "cache_dir"))]
    if unknown:
        raise TypeError(f"unexpected argument {unknown[0]!r}")
    return PlaneMLP(num_classes, hidden)
