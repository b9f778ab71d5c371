"""A model whose logits are not its head on its features is refused, with weights and without."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from finecal.errors import UserError
from finecal.models.build import Architecture, architecture, build, head
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


def test_a_cosine_head_is_plain() -> None:
    backbone = {"model": "test_resnet", "options": {}, "image_size": 32, "head": "cosine"}
    description = architecture(backbone, ("a", "b"), 3)
    check_plain_head(build(description, weights="random"), description)
    check_without_weights(description)


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
