"""Models whose logits are a mean of several layers' have one head here, the same logits, and timm's files."""

from __future__ import annotations

import copy
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from finecal.errors import UserError
from finecal.export.folder import load_exported, write_model
from finecal.models.build import Architecture, architecture, build, forward, head
from finecal.models.checkpoints import load_checkpoint
from finecal.models.files import load_model, save_model
from finecal.models.joined_heads import join_classifiers
from finecal.models.plain_head import check_plain_head, check_without_weights

sys.path.append(str(Path(__file__).parents[2]))

from origins import shaken

# Two tokens; one feature read twice; batch normalisation before each; one per branch; learned shares of stages.
MODELS: dict[str, tuple[int, dict[str, Any]]] = {
    "deit_tiny_distilled_patch16_224": (32, {"depth": 1}),
    "efficientformerv2_s0": (32, {"depths": (1, 1, 1, 1)}),
    "repvit_m1": (32, {}),
    "levit_128s": (32, {}),
    "crossvit_9_240": (240, {"depth": ((1, 1, 0), (1, 1, 0), (1, 1, 0))}),
    "efficientvim_m1": (64, {"distilled": True}),
}
CLASSES = ("ant", "bee", "cod")


def described(name: str) -> Architecture:
    size, options = MODELS[name]
    return architecture({"model": name, "options": options, "image_size": size}, CLASSES, 3)


def images_for(description: Architecture) -> Tensor:
    side = description.image_size
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(3))


@cache
def of_timm(name: str) -> nn.Module:
    """Return timm's model with random values everywhere, also in biases and shares."""
    description = described(name)
    sized = {"img_size": description.image_size} if timm.get_pretrained_cfg(name).fixed_input_size else {}
    torch.manual_seed(0)
    return shaken(timm.create_model(name, num_classes=3, **description.options, **sized))


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_a_checkpoint_of_timm_has_the_same_logits(name: str, tmp_path: Path) -> None:
    """As it is read, saved and exported; its rows are found by their names."""
    description, timm_s = described(name), of_timm(name)
    images = images_for(description)
    wanted = timm_s(images)
    torch.save(timm_s.state_dict(), tmp_path / "weights.pth")
    use = {"class_names": ["cod", "ant", "bee"]}
    model = load_checkpoint(str(tmp_path / "weights.pth"), use, description, keep_head=True).eval()
    wanted = wanted[:, [1, 2, 0]]
    torch.testing.assert_close(model(images), wanted)
    check_plain_head(model, description)
    features, logits = forward(model, images)
    torch.testing.assert_close(logits, features @ head(model).weight.T + head(model).bias)
    save_model(tmp_path / "model.safetensors", model, description, provenance={})
    torch.testing.assert_close(load_model(tmp_path / "model.safetensors")[0].eval()(images), wanted)
    again = copy.deepcopy(timm_s)
    again.load_state_dict(safetensors.torch.load_file(tmp_path / "model.safetensors"))
    torch.testing.assert_close(again(images), wanted)


def form(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "fine_tuning": np.array([True, True, False]), **more}


@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", "efficientformerv2_s0", "efficientvim_m1"])
@torch.no_grad()
def test_exported_it_is_timm_s_model(name: str, tmp_path: Path) -> None:
    """γ is folded into the biases of all layers; what reads features reads all of them."""
    description = described(name)
    model = copy.deepcopy(of_timm(name))
    join_classifiers(model)
    images = images_for(description)
    features, logits = forward(model, images)
    shift = np.array([0.0, 0.0, 1.5])
    folded = write_model(
        tmp_path / "folded", copy.deepcopy(model), description, form("affine", scale=np.ones(3), shift=shift), None
    )
    assert folded
    torch.testing.assert_close(load_exported(tmp_path / "folded")(images), logits + torch.tensor([0.0, 0.0, 1.5]))
    write_model(tmp_path / "cosine", model, description, form("cosine", rows=None, factor=2.0, empty=0.0), None)
    cosines = nn.functional.cosine_similarity(features[:, None], head(model).weight[None], dim=-1)
    torch.testing.assert_close(load_exported(tmp_path / "cosine")(images), 2.0 * cosines)


@pytest.mark.parametrize("name", MODELS)
def test_check_takes_it_without_weights(name: str) -> None:
    assert {p.device.type for p in check_without_weights(described(name)).parameters()} == {"meta"}


def test_layers_that_read_the_same_are_one() -> None:
    widths = {"deit_tiny_distilled_patch16_224": 2 * 192, "efficientformerv2_s0": 176}
    assert {name: head(build(described(name), weights="random")).in_features for name in widths} == widths


def test_it_trains_as_one_layer() -> None:
    name = "deit_tiny_distilled_patch16_224"
    torch.manual_seed(1)
    model = build(described(name), weights="random")
    before = head(model).weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = nn.functional.cross_entropy(model.train()(images_for(described(name))), torch.tensor([0, 1]))
    loss.backward()
    optimizer.step()
    assert not torch.equal(head(model).weight, before)
    assert all(p.grad is not None for p in model.parameters())
    twin = copy.deepcopy(model)
    head(twin).weight.data.zero_()
    assert head(model).weight.any()


def test_one_of_two_classifiers_is_not_enough(tmp_path: Path) -> None:
    name = "deit_tiny_distilled_patch16_224"
    state = {key: value for key, value in of_timm(name).state_dict().items() if not key.startswith("head_dist")}
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"it has no head_dist.weight, head_dist.bias\. Its logits are a mean of 2"):
        load_checkpoint(str(tmp_path / "weights.pth"), {}, described(name), keep_head=True)
    load_checkpoint(str(tmp_path / "weights.pth"), {}, described(name), keep_head=False)


def test_a_second_classifier_is_not_left_out_unsaid(tmp_path: Path) -> None:
    torch.save(of_timm("repvit_m1").state_dict(), tmp_path / "weights.pth")
    single = architecture({"model": "repvit_m1", "options": {"distillation": False}, "image_size": 32}, CLASSES, 3)
    with pytest.raises(UserError, match=r"unexpected \(head\.head_dist"):
        load_checkpoint(str(tmp_path / "weights.pth"), {}, single, keep_head=True)


def test_another_way_to_join_is_refused() -> None:
    """Where a model joins its layers otherwise than by a mean, the comparison with timm's finds it."""
    description = described("deit_tiny_distilled_patch16_224")
    model = build(description, weights="random")
    own: Any = type(model)

    class Doubled(own):  # type: ignore[misc]
        def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
            given: Tensor = super().forward_head(2 * x, pre_logits)
            return given

    model.__class__ = Doubled
    with pytest.raises(UserError, match="not those of its head"):
        check_plain_head(model, description)


def test_no_cosine_head() -> None:
    backbone = {"model": "repvit_m1", "options": {}, "image_size": 32, "head": "cosine"}
    with pytest.raises(UserError, match="cannot have a cosine head"):
        build(architecture(backbone, CLASSES, 3), weights="random")
