"""Convolutions that torch computes wrongly with channels last; nothing here computes their gradients so."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from finecal.runtime.device import place_model

CPU = torch.device("cpu")


def seen_by(conv: nn.Conv2d, images: Tensor) -> Tensor:
    """What the convolution computes on, in place of computing."""
    seen: list[Tensor] = []
    conv._conv_forward = lambda given, weight, bias: seen.append(given) or given  # type: ignore[method-assign, func-returns-value]
    conv(images)
    return seen[0]


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("capability", ["AVX2", "DEFAULT"])
def test_they_compute_with_channels_first(monkeypatch: pytest.MonkeyPatch, images: Tensor, capability: str) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    conv = nn.Conv2d(3, 4, 1, stride=2)
    for _ in range(2):  # as before and after a training
        place_model(conv, CPU)
    assert len(conv._forward_pre_hooks) == 1
    assert conv.weight.stride() == nn.Conv2d(3, 4, 1).weight.stride()
    copied = copy.deepcopy(conv)  # as recipes do that need the model of before
    for one in (conv, copied):
        seen = seen_by(one, images)
        assert seen.is_contiguous()
        assert torch.equal(seen, images)
    with torch.inference_mode():
        assert seen_by(conv, images) is images


@pytest.mark.parametrize(
    "conv", [nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(8, 4, 1, stride=2)], ids=str
)
def test_all_others_stay(monkeypatch: pytest.MonkeyPatch, conv: nn.Conv2d) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not place_model(copy.deepcopy(conv), CPU)._forward_pre_hooks


def test_with_avx_512_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert not place_model(nn.Conv2d(3, 4, 1, stride=2), CPU)._forward_pre_hooks


def test_logits_stay_the_same_to_the_bit(monkeypatch: pytest.MonkeyPatch, images: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 16, 1, stride=2), nn.ReLU(), nn.Conv2d(16, 4, 3))
    found = []
    for capability in ("AVX512", "AVX2"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda capability=capability: capability)
        with torch.inference_mode():
            found.append(place_model(copy.deepcopy(model), CPU)(images))
    assert torch.equal(*found)
