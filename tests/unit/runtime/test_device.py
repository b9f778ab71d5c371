"""Where a model's tensors are, and how they lie in memory."""

from __future__ import annotations

import copy

import torch
from torch import nn

from finecal.runtime.device import place_model


def test_convolutions_get_channels_last_and_all_else_stays() -> None:
    """Also beside a 3D convolution, as in LambdaNets, for which torch has another layout."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2), nn.Conv3d(1, 2, 3))
    model.register_buffer("table", torch.rand(2, 3, 4, 5))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    own = {name: id(parameter) for name, parameter in model.named_parameters()}
    placed = place_model(model, torch.device("cpu"))
    assert placed is model
    assert {name: id(parameter) for name, parameter in placed.named_parameters()} == own
    for name, tensor in placed.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.is_contiguous(memory_format=torch.channels_last if tensor.dim() == 4 else torch.contiguous_format)


def test_a_model_lies_as_torch_itself_lays_it_out() -> None:
    """To the stride: for weights of one channel or of 1 × 1 other operations would round differently."""
    layers = [nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 3, groups=4), nn.Linear(4, 2)]
    model = nn.Sequential(*layers)
    wanted = copy.deepcopy(model).to(memory_format=torch.channels_last)
    placed = place_model(model, torch.device("cpu"))
    for one, other in zip(placed.parameters(), wanted.parameters(), strict=True):
        assert one.stride() == other.stride()
        assert torch.equal(one, other)
