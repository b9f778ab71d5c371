"""The cosine head: its formula, its place in timm's models, and that it trains, saves and loads like a linear one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finecal.config import Training
from finecal.config.load import parse_study
from finecal.errors import UserError
from finecal.export.folder import check_is_timm_model
from finecal.io.list_columns import matrix
from finecal.io.parquet import read_table
from finecal.models.build import architecture, build, forward, head
from finecal.models.checkpoints import load_as, read_checkpoint
from finecal.models.files import load_model, save_model, write_head
from finecal.models.heads import CosineHead
from finecal.runtime.device import place_model
from finecal.training.optimizer import make_optimizer

CLASSES = ("cat", "dog", "eel", "fox")
BACKBONE = {"model": "test_resnet", "options": {}, "image_size": 32, "head": "cosine", "head_scale": 7.0}


def test_logits_are_scaled_cosines() -> None:
    """By hand: cos((3, 4), (1, 0)) = 0.6, cos((3, 4), (0, −2)) = −0.8."""
    layer = CosineHead(2, 2, scale=10.0, learned=False)
    layer.weight.data = torch.tensor([[1.0, 0.0], [0.0, -2.0]])
    torch.testing.assert_close(layer(torch.tensor([[3.0, 4.0]])), torch.tensor([[6.0, -8.0]]))
    torch.testing.assert_close(layer(torch.tensor([[0.03, 0.04]])), torch.tensor([[6.0, -8.0]]))
    assert list(dict(layer.named_parameters())) == ["weight"]
    assert layer.bias is None


def test_a_row_learns_across_its_direction_only() -> None:
    torch.manual_seed(0)
    layer = CosineHead(3, 2, scale=5.0, learned=True)
    layer(torch.rand(4, 3)).square().sum().backward()
    along = torch.nn.functional.cosine_similarity(layer.weight.grad, layer.weight, dim=1)
    torch.testing.assert_close(along, torch.zeros(2), atol=1e-6, rtol=0)
    assert layer.scale.grad.abs() > 0


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
@torch.inference_mode()
def test_it_takes_the_place_of_timms_head(name: str) -> None:
    built = build(architecture({**BACKBONE, "model": name, "image_size": 64}, CLASSES, 3), weights="random").eval()
    assert isinstance(head(built), CosineHead)
    assert head(built) is built.get_classifier()
    images = torch.rand(2, 3, 64, 64)
    features, logits = forward(built, images)
    torch.testing.assert_close(logits, built(images), atol=1e-5, rtol=1e-5)
    unit = torch.nn.functional.normalize
    torch.testing.assert_close(logits, 7 * unit(features) @ unit(head(built).weight).T, atol=1e-5, rtol=1e-5)
    assert logits.abs().max() <= 7 + 1e-5


@pytest.mark.parametrize("learned", [True, False])
def test_it_is_saved_loaded_and_written_as_a_table(learned: bool, tmp_path: Path) -> None:
    description = architecture({**BACKBONE, "learn_head_scale": learned}, CLASSES, 3)
    model = build(description, weights="random")
    head(model).scale.data.fill_(3.5)
    save_model(tmp_path / "model.safetensors", model, description, provenance={})
    again, read = load_model(tmp_path / "model.safetensors")
    assert read == description
    images = torch.rand(2, 3, 32, 32)
    place_model(model, torch.device("cpu"))  # as `again` is: sums round differently in another memory layout
    with torch.inference_mode():
        torch.testing.assert_close(again.eval()(images), model.eval()(images), atol=0, rtol=0)
    write_head(tmp_path / "head.parquet", model, CLASSES, {"seed": 1}, provenance={})
    table = read_table(tmp_path / "head.parquet")
    assert table["scale"].to_pylist() == [3.5] * 4
    assert table["bias"].to_pylist() == [0.0] * 4
    np.testing.assert_array_equal(matrix(table["weight"]), head(model).weight.detach().numpy())


@pytest.mark.parametrize("learned", [True, False])
def test_its_parameters_have_the_learning_rate_of_the_head(learned: bool) -> None:
    model = build(architecture({**BACKBONE, "learn_head_scale": learned}, CLASSES, 3), weights="random")
    model.requires_grad_(True)
    groups = make_optimizer(model, Training(lr=0.5, backbone_lr_scale=0.1)).param_groups
    assert [group["base_lr"] for group in groups] == [0.05, 0.5]
    assert len(groups[1]["params"]) == 1 + learned


def test_a_linear_head_has_no_scale(tmp_path: Path) -> None:
    description = architecture({**BACKBONE, "head": "linear"}, CLASSES, 3)
    model = build(description, weights="random")
    write_head(tmp_path / "head.parquet", model, CLASSES, {}, provenance={})
    assert read_table(tmp_path / "head.parquet")["scale"].to_pylist() == [None] * 4


def test_calibrators_of_row_lengths_are_refused() -> None:
    text = "extends: heads\ncalibrators: [none, tau_norm]\n"
    with pytest.raises(UserError) as caught:
        parse_study(text, where="my.yaml")
    assert str(caught.value) == (
        "my.yaml: calibrators.tau_norm: tau_norm works with linear heads only. "
        "The head of 'cosine' is cosine: its logits do not depend on the lengths of its rows."
    )
    assert parse_study(text.replace("heads", "digits"), where="my.yaml").calibrators.keys() == {"none", "tau_norm"}


# ------------------------------------------------------------------ the class token beside the mean of the patches


TWICE = {"model": "test_vit", "options": {"global_pool": "token_and_mean"}, "image_size": 32}


def test_the_head_reads_the_token_and_the_mean_of_the_patches(tmp_path: Path) -> None:
    description = architecture(TWICE, CLASSES, 3)
    model = build(description, weights="random").eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        tokens = model.forward_features(images)
        features, logits = forward(model, images)
        torch.testing.assert_close(features, torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1))
        torch.testing.assert_close(model(images), logits)
    save_model(tmp_path / "model.safetensors", model, description, provenance={})
    again, found = load_model(tmp_path / "model.safetensors")
    assert found == description
    with torch.inference_mode():
        torch.testing.assert_close(again.eval()(images), logits, rtol=1e-4, atol=1e-5)


def test_other_models_have_no_class_token() -> None:
    with pytest.raises(UserError) as caught:
        build(architecture({**TWICE, "model": "test_resnet"}, CLASSES, 3), weights="random")
    assert str(caught.value) == (
        "backbones: a ResNet cannot have `global_pool: token_and_mean`. "
        "timm's vision transformers that take the class token can."
    )


def test_timm_alone_could_not_load_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'test_vit' with `global_pool: token_and_mean` cannot be exported"):
        check_is_timm_model(architecture(TWICE, CLASSES, 3))


@pytest.mark.parametrize("more", [{"head": "cosine"}, {"options": {"global_pool": "token_and_mean"}}])
def test_position_embeddings_are_resampled_under_these_heads_too(more: dict[str, Any], tmp_path: Path) -> None:
    backbone = {"model": "test_vit", "options": {}, "image_size": 32, **more}
    model = build(architecture(backbone, CLASSES, 3), weights="random")
    torch.save(model.state_dict(), tmp_path / "small.pth")
    described = architecture({**backbone, "image_size": 64}, CLASSES, 3)
    large = load_as(read_checkpoint(tmp_path / "small.pth"), described, keep_head=True)
    assert torch.equal(head(large).weight, head(model).weight)
    assert torch.equal(large.state_dict()["blocks.0.attn.qkv.weight"], model.state_dict()["blocks.0.attn.qkv.weight"])
    assert large.pos_embed.shape[1] > model.pos_embed.shape[1]
