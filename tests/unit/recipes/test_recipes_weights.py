"""Recipes that change the model or its images: LoRA, mixup, dropout; and backbones that do not fit a recipe."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from pydantic import ValidationError
from recipe_runs import TRAINING, batch, context, one_thread, pretrained, recipe_of, trained  # noqa: F401
from timm.layers.grn import GlobalResponseNorm
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from finecal.errors import UserError
from finecal.models.build import architecture, build, head

Weights = dict[str, Tensor]


def weights_of(model: nn.Module) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def other_backbone(name: str, side: int = 64) -> nn.Module:
    torch.manual_seed(0)
    return build(
        architecture({"model": name, "options": {}, "image_size": side}, tuple("abcd"), 1), weights="random"
    ).eval()


# ------------------------------------------------------------------ LoRA


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
@torch.no_grad()
def test_lora_starts_at_the_pretrained_model_and_merges(name: str) -> None:
    model, images = other_backbone(name), torch.randn(3, 1, 64, 64)
    keys, before, weights = set(model.state_dict()), model(images), weights_of(model)
    recipe = recipe_of("lora", rank=2, alpha=6.0, head="low_rank")
    recipe.prepare(model, context())
    torch.testing.assert_close(model(images), before, atol=1e-6, rtol=1e-6)
    for key, parameter in model.named_parameters():
        assert parameter.requires_grad == key.endswith((".0.a", ".0.b"))
        if key.endswith(".0.b"):
            parameter.normal_()
    assert isinstance(head(model), nn.Linear)
    update = head(model).parametrizations.weight[0]  # type: ignore[union-attr, index]
    wanted = weights_of_head(weights, model) + 6.0 / 2 * update.b @ update.a  # type: ignore[union-attr, operator]
    torch.testing.assert_close(head(model).weight, wanted)  # what head.parquet and the norms see while training
    unmerged = model(images)
    recipe.finish(model)
    assert set(model.state_dict()) == keys
    torch.testing.assert_close(model(images), unmerged, atol=1e-5, rtol=1e-4)
    assert float((unmerged - before).abs().max()) > 0.01


def weights_of_head(weights: Weights, model: nn.Module) -> Tensor:
    last = next(name for name, module in model.named_modules() if module is head(model))
    return weights[f"{last}.weight"]


@torch.no_grad()
def test_lora_of_a_convolution_is_a_convolution_to_r_channels_and_a_pointwise_one() -> None:
    model = pretrained()
    name, layer = next(
        (n, m)
        for n, m in model.named_modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3) and m.groups == 1
    )
    images = torch.randn(2, layer.in_channels, 9, 9)
    before = layer(images)
    recipe_of("lora", rank=3, alpha=1.5).prepare(model, context())
    update = model.get_submodule(name).parametrizations.weight[0]  # type: ignore[union-attr, index]
    update.b.normal_()  # type: ignore[union-attr, operator]
    a: Tensor = update.a  # type: ignore[union-attr, assignment]
    b: Tensor = update.b  # type: ignore[union-attr, assignment]
    low = nn.functional.conv2d(
        images, a.reshape(3, layer.in_channels, 3, 3), stride=layer.stride, padding=layer.padding
    )
    wanted = before + 0.5 * torch.einsum("or,nrhw->nohw", b, low)
    torch.testing.assert_close(model.get_submodule(name)(images), wanted, atol=1e-5, rtol=1e-4)


def test_lora_updates_have_the_rank(tmp_path: Path) -> None:
    model, _ = trained(recipe_of("lora", rank=2), tmp_path / "state.pt")
    before = pretrained().state_dict()
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            change = (module.weight.detach() - before[f"{name}.weight"]).flatten(1).double()
            sizes = torch.linalg.svdvals(change)
            assert float(sizes[0]) > 0
            assert float(sizes[2]) < 1e-3 * float(sizes[0])


# ------------------------------------------------------------------ mixup, dropout


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_mixup_by_hand(n: int) -> None:
    """Images and targets are λ times themselves and 1 − λ times the batch in reverse; λ is NumPy's next Beta draw."""
    recipe, model = recipe_of("mixup", mixup_alpha=0.4), pretrained()
    recipe.prepare(model, context())
    images, labels = batch(n)
    given = images.clone()
    np.random.seed(5)
    with torch.no_grad():
        found = recipe.loss(model, images, labels, label_smoothing=0.1)
        np.random.seed(5)
        np.random.rand()  # whether to mix
        weight, even = np.random.beta(0.4, 0.4), n - n % 2
        other = torch.arange(even).flip(0)
        mixed = torch.cat([weight * images[:even] + (1 - weight) * images[other], images[even:]])
        z = model(mixed)
        partner = torch.cat([labels[other], labels[even:]])
        weights = torch.tensor([weight] * even + [1.0] * (n - even))
        one, two = (cross_entropy(z, y, label_smoothing=0.1, reduction="none") for y in (labels, partner))
    assert float(found) == pytest.approx(float((weights * one + (1 - weights) * two).mean()), rel=1e-5)
    assert torch.equal(images, given)


@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
def test_the_modes_of_mixup(mode: str, tmp_path: Path) -> None:
    model, _ = trained(recipe_of("mixup", cutmix_alpha=1.0, mode=mode), tmp_path / "state.pt")
    assert not torch.equal(model.state_dict()["fc.weight"], pretrained().state_dict()["fc.weight"])


def test_mixup_of_nothing() -> None:
    with pytest.raises(ValidationError, match="must be greater than 0"):
        recipe_of("mixup", mixup_alpha=0.0)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
def test_dropout_is_what_timm_does_with_drop_rate(name: str) -> None:
    images, results = torch.randn(3, 1, 64, 64), []
    weights = other_backbone(name).state_dict()
    for rate in (0.4, None):
        description = architecture(
            {"model": name, "options": {"drop_rate": 0.4} if rate else {}, "image_size": 64}, tuple("abcd"), 1
        )
        model = build(description, weights="random")
        model.load_state_dict(weights)
        recipe = recipe_of("full") if rate else recipe_of("dropout", rate=0.4)
        recipe.prepare(model, context())
        model.train()
        torch.manual_seed(3)
        with torch.no_grad():
            results.append(model(images))
    torch.testing.assert_close(results[0], results[1])
    with torch.no_grad():
        assert not torch.equal(results[1], copy.deepcopy(model)(images))  # another draw


# ------------------------------------------------------------------ not for every model


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("frozen_bn", "recipe frozen_bn: the backbone has no batch normalisation."),
        ("norm_tuning", "recipe norm_tuning: the backbone has no normalisation layer with parameters."),
    ],
)
def test_a_backbone_without_the_layers(name: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe_of(name).prepare(nn.Sequential(nn.Linear(3, 4)), context())
    assert str(caught.value) == message


def test_layer_norm_counts_as_normalisation() -> None:
    model = other_backbone("test_vit")
    recipe_of("norm_tuning").prepare(model, context())
    found = {name for name, p in model.named_parameters() if p.requires_grad}
    assert found
    assert all("norm" in name for name in found)
    assert len(found) == sum("norm" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("name", ["dm_nfnet_f0", "test_efficientnet", "test_convnext2"])
def test_normalisation_is_told_by_type_and_not_by_name(name: str) -> None:
    """A `NormFreeBlock` has a gain and no normalisation; global response normalisation is one."""
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=4)
    if name == "dm_nfnet_f0":
        assert any(
            "Norm" in type(module).__name__ and [*module.parameters(recurse=False)] for module in model.modules()
        )
        with pytest.raises(UserError, match="no normalisation layer"):
            recipe_of("norm_tuning").check(model)
        return
    recipe_of("norm_tuning").prepare(model, context())
    layers = (nn.BatchNorm2d, nn.LayerNorm, GlobalResponseNorm)
    wanted = {
        id(p) for module in model.modules() if isinstance(module, layers) for p in module.parameters(recurse=False)
    }
    assert wanted
    assert {id(p) for p in model.parameters() if p.requires_grad} == wanted


@pytest.mark.parametrize(
    ("name", "options", "biases"),
    [
        ("eva02_tiny_patch14_224", {"depth": 2}, {"q_bias", "v_bias", "bias"}),
        ("beit_base_patch16_224", {"depth": 2}, {"q_bias", "v_bias", "bias"}),
        ("swinv2_tiny_window8_256", {}, {"q_bias", "v_bias", "bias"}),
        ("vit_base_patch16_xp_224", {"depth": 2}, {"bias", "mlp_bias"}),
        ("resmlp_12_224", {}, {"bias", "beta"}),
        ("sequencer2d_s", {}, {"bias", *(f"bias_{kind}_l0{way}" for kind in ("ih", "hh") for way in ("", "_reverse"))}),
    ],
)
def test_biases_of_any_name(name: str, options: dict[str, int], biases: set[str]) -> None:
    """With BitFit all that is added trains, and nothing else: no table of positions, no gain."""
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=4, **options)
    recipe_of("bitfit").prepare(model, context())
    trained = {key for key, p in model.named_parameters() if p.requires_grad}
    assert {key.rpartition(".")[2] for key in trained} == biases
    assert {max(p.shape) == p.numel() for key, p in model.named_parameters() if key in trained} == {True}


def test_dropout_twice() -> None:
    model = pretrained()
    model.drop_rate = 0.2
    with pytest.raises(UserError) as caught:
        recipe_of("dropout").prepare(model, context())
    assert str(caught.value) == (
        "recipe dropout: the backbone has dropout already (drop_rate 0.2). "
        "Hint: Set `drop_rate: 0` in the backbone's options."
    )


def test_nothing_to_train(tmp_path: Path) -> None:
    recipe = recipe_of("full")
    recipe.prepare = lambda model, context: model.requires_grad_(False)  # type: ignore[method-assign, assignment]
    with pytest.raises(UserError) as caught:
        trained(recipe, tmp_path / "state.pt")
    assert str(caught.value) == "recipes: the recipe leaves no parameter of this model to train."
