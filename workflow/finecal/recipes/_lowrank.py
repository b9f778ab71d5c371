"""A low-rank update of a weight as a torch parametrisation."""

from __future__ import annotations

import math

from torch import Tensor, nn


class LowRank(nn.Module):
    """W⁰ → W⁰ + (α/r) B A.

    Parameters
    ----------
    weight
        (out, …): all further dimensions are flattened. A is drawn from torch's global generator, B starts at zero.
    rank
        r; at most the smaller side of the matrix.
    alpha
        α.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        rank = min(rank, rows, columns)
        self.scale = alpha / rank
        self.a = nn.Parameter(weight.new_empty(rank, columns))
        self.b = nn.Parameter(weight.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the updated weight, of the weight's shape."""
        return weight + (self.scale * self.b @ self.a).reshape(weight.shape)
