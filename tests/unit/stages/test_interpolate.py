"""Models between θ⁰ and θ."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from finecal.stages.interpolate import set_between


def trained(seed: int, batches: int) -> nn.Module:
    """A layer and a batch normalisation that has seen some batches."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    for _ in range(batches):
        model(torch.randn(8, 3))
    return model.eval()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_weights_and_running_statistics_lie_between(alpha: float) -> None:
    before, after, model = trained(0, 2).state_dict(), trained(1, 5).state_dict(), trained(2, 1)
    set_between(model, before, after, alpha)
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert value == 5  # a count is θ's
        else:
            torch.testing.assert_close(value, (1 - alpha) * before[name] + alpha * after[name])
    if alpha == 1:
        assert all(torch.equal(value, after[name]) for name, value in model.state_dict().items())
