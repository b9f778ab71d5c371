"""Weights for grey images give, on images with colours, what they gave on the grey that Pillow makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from finecal.models.build import Architecture, architecture
from finecal.models.checkpoints import load_checkpoint
from finecal.models.grey import LUMA, read_colours_as_grey

CLASSES = ("ant", "bee")
MEAN, STD = 0.4, 0.3


def grey_folder(folder: Path, name: str) -> nn.Module:
    torch.manual_seed(0)
    fixed = {"img_size": 64} if "vit" in name else {}
    model = timm.create_model(name, in_chans=1, num_classes=2, **fixed).eval()
    data = {"mean": (MEAN,), "std": (STD,), "input_size": (1, 64, 64)}
    names = {"label_names": list(CLASSES)}
    timm.models.save_for_hf(model, str(folder), safe_serialization=True, model_config=names, data_config=data)
    return model


def described(folder: Path) -> Architecture:
    return architecture({"model": f"local-dir:{folder}", "options": {}, "image_size": 64}, CLASSES, 3)


def logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.eval()((images - MEAN) / STD)
    return found


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_colours_are_seen_as_their_grey(name: str, tmp_path: Path) -> None:
    own = grey_folder(tmp_path, name)
    description = described(tmp_path)
    assert (description.mean, description.std) == ((MEAN,) * 3, (STD,) * 3)
    colours = torch.rand(3, 3, 64, 64)
    grey = (colours * torch.tensor(LUMA).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
    for path in (tmp_path, tmp_path / "model.safetensors"):
        loaded = load_checkpoint(str(path), {}, description, keep_head=True)
        torch.testing.assert_close(logits(loaded, colours), logits(own, grey), atol=1e-5, rtol=1e-4)
        assert not torch.allclose(logits(loaded, colours.flip(1)), logits(loaded, colours), atol=1e-5)


def test_other_models_are_left_as_they_are() -> None:
    """One with three channels, even if they are equal; and one for grey images."""
    for channels in (3, 1):
        model = timm.create_model("test_resnet", in_chans=channels, num_classes=2)
        with torch.no_grad():
            model.conv1[0].weight.fill_(0.5)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        read_colours_as_grey(model)
        assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
