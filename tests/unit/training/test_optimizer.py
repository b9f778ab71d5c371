"""Weight decay that is corrected by the learning rate: each group by its own."""

from __future__ import annotations

from typing import Any

import pytest
import timm.optim
import torch
from torch import nn

from finecal.config import Training
from finecal.models.build import head
from finecal.training.optimizer import make_optimizer

CORRECTED = [
    name
    for name in timm.optim.list_optimizers()
    if (timm.optim.get_optimizer_info(name).defaults or {}).get("corrected_weight_decay")
]


def model_of() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=3)


def decayed(model: nn.Module, **training: Any) -> dict[str, float]:
    """Take a step without gradients: by which part every weight has shrunk."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = make_optimizer(model, Training(weight_decay=0.5, **training))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return {
        name: float(1 - (p.detach() * before[name]).sum() / before[name].square().sum())
        for name, p in model.named_parameters()
        if p.ndim > 1
    }


@pytest.mark.parametrize("name", ["sgdc", "adamc", "lionc"])
def test_the_backbone_decays_by_its_own_rate(name: str) -> None:
    """lr · λ at the highest rate, as without correction: a tenth of the head's, and not a hundredth."""
    found = decayed(model_of(), optimizer=name, lr=0.1, backbone_lr_scale=0.1)
    assert found["fc.weight"] == pytest.approx(0.1 * 0.5, rel=1e-3)
    assert found["conv1.0.weight"] == pytest.approx(0.01 * 0.5, rel=1e-2)


def test_a_later_rate_decays_by_its_square() -> None:
    model = model_of()
    optimizer = make_optimizer(model, Training(optimizer="sgdc", lr=0.1, backbone_lr_scale=0.1, weight_decay=0.5))
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] / 2
    before = model.conv1[0].weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(model.conv1[0].weight, before * (1 - 0.01 / 4 * 0.5))


@pytest.mark.parametrize("name", CORRECTED)
def test_every_corrected_optimiser_knows_each_group_s_highest_rate(name: str) -> None:
    model = model_of()
    groups = make_optimizer(model, Training(optimizer=name, lr=0.1, backbone_lr_scale=0.1)).param_groups
    assert [group["max_lr_snapshot"] for group in groups] == pytest.approx([0.01, 0.1])
    assert {id(p) for p in groups[1]["params"]} == {id(p) for p in head(model).parameters()}


def test_a_backbone_that_stands_still_does_not_decay() -> None:
    found = decayed(model_of(), optimizer="sgdc", lr=0.1, backbone_lr_scale=0.0)
    assert found["conv1.0.weight"] == pytest.approx(0, abs=1e-6)
    assert found["fc.weight"] == pytest.approx(0.05, rel=1e-3)
