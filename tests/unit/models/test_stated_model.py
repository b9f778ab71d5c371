"""Weights say of which model they are: one whose shapes are the same and whose logits are not is refused."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from finecal.errors import UserError
from finecal.models.build import architecture
from finecal.models.checkpoints import load_as, read_checkpoint
from finecal.models.stated_model import Stated, of_arguments

CLASSES = ("ant", "bee")


def saved(path: Path, name: str, **beside: Any) -> None:
    torch.manual_seed(0)
    torch.save({"state_dict": timm.create_model(name, num_classes=2).state_dict(), **beside}, path)


def load(path: Path, name: str, **options: Any) -> torch.nn.Module:
    described = architecture({"model": name, "options": options, "image_size": 64}, CLASSES, 3)
    return load_as(read_checkpoint(path), described, keep_head=True)


def arguments(**more: Any) -> argparse.Namespace:
    none = {"gp": None, "bn_eps": None, "model_kwargs": {}, "mean": None, "std": None, "crop_pct": None}
    return argparse.Namespace(**{**none, "interpolation": "", "img_size": None, "input_size": None, **more})


def refused(path: Path, name: str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(path, name, **options)
    return str(caught.value).removeprefix(f"{path}: ")


def test_another_model_with_the_same_shapes(tmp_path: Path) -> None:
    """Those of `tf_` pad as TensorFlow does."""
    path, name = tmp_path / "w.pth", "tf_efficientnet_lite0"
    for by, beside in (
        ("`arch`", {"arch": name}),
        ("the arguments of its training", {"args": arguments(model=f"{name}.in1k")}),
    ):
        saved(path, name, **beside)
        assert refused(path, "efficientnet_lite0").startswith(
            f"these weights would give other logits than where they were trained, by {by}: `model: {name}`. Hint: Say "
            "the same at the backbone: `model`"
        )
    load(path, name)
    saved(path, "test_resnet", arch="resnet18")  # which cannot have these weights: some other code's name
    load(path, "test_resnet")
    saved(path, "test_resnet", arch="mine", args={"model": 3, "gp": "max"})
    load(path, "test_resnet")


def test_arguments_that_change_the_logits(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    saved(path, "test_resnet", args=arguments(model="test_resnet", gp="max"))
    assert refused(path, "test_resnet").startswith(
        "these weights would give other logits than where they were trained, by the arguments of its training: "
        "`global_pool: max`. Hint"
    )
    load(path, "test_resnet", global_pool="max")
    load(path, "test_resnet", global_pool="avg")  # the study's word
    saved(path, "test_resnet", args=arguments(model="test_resnet", gp="avg", model_kwargs={"drop_rate": 0.1}))
    load(path, "test_resnet")


def test_a_file_beside_its_configuration(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=2, global_pool="max")
    timm.models.save_for_hf(model, str(tmp_path), safe_serialization=True)
    assert "by its config.json: `global_pool: max`" in refused(tmp_path / "model.safetensors", "test_resnet")
    load(tmp_path / "model.safetensors", "test_resnet", global_pool="max")


def test_what_arguments_say_of_images() -> None:
    given = vars(arguments(model="test_resnet", mean=[0.1, 0.2, 0.3], input_size=[3, 48, 48]))
    by = "the arguments of its training"
    assert of_arguments(given, "resnet18") == Stated(by, "test_resnet", {}, {"mean": [0.1, 0.2, 0.3]}, 48)
    assert of_arguments({"lr": 0.1}, None) is None


def test_arguments_of_torchvision_s_scripts() -> None:
    given = {"model": "vit_b_16", "interpolation": "bilinear", "val_resize_size": 256, "val_crop_size": 224}
    found = of_arguments(given, None)
    assert found is not None
    assert (found.model, found.image_size) == (None, 224)
    assert found.preparation == {
        "interpolation": "bilinear", "crop_pct": 0.875, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)
    }  # fmt: skip
    named = of_arguments({**given, "model": "resnet50"}, None)
    assert named is not None
    assert named.model == "resnet50"
