"""A model whose logits are not its head on its features is refused, with weights and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from finecal.errors import UserError
from finecal.models.build import Architecture, architecture, build, forward, head
from finecal.models.checkpoints import load_checkpoint
from finecal.models.files import load_model, save_model
from finecal.models.plain_head import check_plain_head, check_without_weights

SECOND_HEAD = (
    "backbones: the logits of 'volo_d1_224' are not those of its head on its features. It adds those of a second head. "
    "Hint: `options: {use_aux_head: false}` builds it without that head."
)


def described(model: str, size: int = 32, **options: Any) -> Architecture:
    return architecture({"model": model, "options": options, "image_size": size}, ("a", "b"), 3)


def message_of(check: Any, *arguments: Any) -> str:
    with pytest.raises(UserError) as caught:
        check(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "finecal_mlp"])
def test_most_models_have_a_plain_head(name: str) -> None:
    description = described(name)
    model = build(description, weights="random").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(5)
    check_plain_head(model, description)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))  # no number of the run's own was drawn
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    found = check_without_weights(description)
    assert {p.device.type for p in found.parameters()} == {"meta"}


ONE_HEAD = {"distillation": False}
# A convolution, a hidden layer, batch normalisation before the linear one.
OTHER_CLASSIFIERS: dict[str, dict[str, Any]] = {"dla46x_c": {}, "cpubone_nano": {}, "repvit_m1": ONE_HEAD}


@pytest.mark.parametrize("name", OTHER_CLASSIFIERS)
def test_what_the_last_layer_reads_are_the_features(name: str, tmp_path: Path) -> None:
    description = described(name, **OTHER_CLASSIFIERS[name])
    check_without_weights(description)
    torch.manual_seed(1)
    model = build(description, weights="random").eval()
    check_plain_head(model, description)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        head(model).bias.add_(1.0)
        features, logits = forward(model, images)
        torch.testing.assert_close(logits, features @ head(model).weight.T + head(model).bias)
        wanted = model(images)
        torch.testing.assert_close(logits, wanted)
        save_model(tmp_path / "model.safetensors", model, description, provenance={})
        torch.testing.assert_close(load_model(tmp_path / "model.safetensors")[0].eval()(images), wanted)
        of_timm = timm.create_model(name, num_classes=2, **OTHER_CLASSIFIERS[name]).eval()
        of_timm.load_state_dict(safetensors.torch.load_file(tmp_path / "model.safetensors"))
        torch.testing.assert_close(of_timm(images), wanted)
        # A checkpoint of timm's is read, its rows by their names.
        torch.save(of_timm.state_dict(), tmp_path / "weights.pth")
        use = {"class_names": ["b", "a"]}
        found = load_checkpoint(str(tmp_path / "weights.pth"), use, description, keep_head=True).eval()(images)
    torch.testing.assert_close(found, wanted.flip(1))


@pytest.mark.parametrize("model", ["test_resnet", "dla46x_c"])
def test_a_cosine_head_is_plain(model: str) -> None:
    backbone = {"model": model, "options": {}, "image_size": 32, "head": "cosine"}
    description = architecture(backbone, ("a", "b"), 3)
    check_plain_head(build(description, weights="random"), description)
    check_without_weights(description)


def test_no_cosine_head_in_a_classifier_of_several_layers() -> None:
    backbone = {"model": "repvit_m1", "options": ONE_HEAD, "image_size": 32, "head": "cosine"}
    assert "cannot have a cosine head" in message_of(build_random, architecture(backbone, ("a", "b"), 3))


def build_random(description: Architecture) -> nn.Module:
    return build(description, weights="random")


def test_half_of_a_second_head_s_maximum() -> None:
    """VOLO's, as timm makes it; built without, it is plain."""
    description = described("volo_d1_224")
    assert message_of(check_plain_head, build(description, weights="random"), description) == SECOND_HEAD
    assert message_of(check_without_weights, description) == SECOND_HEAD
    single = described("volo_d1_224", use_aux_head=False)
    check_plain_head(build(single, weights="random"), single)
    check_without_weights(single)


class Other(nn.Module):
    """A network whose logits, or whose features, are something else."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.fc = kind, nn.Linear(3, 2)

    def get_classifier(self) -> nn.Module:
        return self.fc

    def forward_features(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        return features if pre_logits else self.fc(features)

    def forward(self, images: Tensor) -> Tensor:
        features = self.forward_features(images)
        if self.kind == "other features":
            return self.fc(features.relu())  # type: ignore[no-any-return]
        if self.kind == "twice":
            return self.fc(features) + self.fc(features.flip(0))  # type: ignore[no-any-return]
        logits = self.fc(features)
        return logits.softmax(1) if self.kind == "softmax" else logits  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["other features", "twice", "softmax"])
def test_other_logits(kind: str) -> None:
    description = described("test_resnet")
    check_plain_head(Other("plain"), description)
    assert message_of(check_plain_head, Other(kind), description) == (
        "backbones: the logits of 'test_resnet' are not those of its head on its features. "
        "finecal needs models whose last step is one linear layer."
    )


def test_other_features_are_found_where_the_head_is_still_zero() -> None:
    model = Other("other features")
    nn.init.zeros_(head(model).weight)
    assert "not those of its head" in message_of(check_plain_head, model, described("test_resnet"))


def test_images_too_small_for_the_model() -> None:
    description = described("inception_v3")
    said = message_of(check_without_weights, description)
    assert said.startswith("backbones: 'inception_v3' cannot compute images of 32 × 32 pixels (")
    assert said.endswith("Hint: Another `image_size` may suit it.")
