"""What a backbone says of its preprocessing becomes what its model is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from finecal.errors import UserError
from finecal.models.build import Architecture, architecture
from finecal.models.chance import guesses
from finecal.models.preprocessing import resolve, take_rgb, transform

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
TIMM = {"interpolation": "bilinear", "crop_mode": "center", "crop_pct": 0.95}  # of test_resnet


def described(preprocessing: Any = None, channels: int = 3, **more: Any) -> Architecture:
    said = {} if preprocessing is None else {"preprocessing": preprocessing}
    use = {"model": "test_resnet", "options": {}, "image_size": 32, **said, **more}
    return architecture(use, ("a", "b"), channels)


def test_timm_stretch_and_parts_by_hand() -> None:
    assert described().framing is None
    assert described("timm").framing == TIMM
    by_hand = described({"like": "timm", "crop_pct": 1.0, "mean": [0, 0, 0], "std": [1.0], "channels": "rgb"})
    assert by_hand.framing == {**TIMM, "crop_pct": 1.0}
    assert (by_hand.mean, by_hand.std) == ((0, 0, 0), (1.0, 1.0, 1.0))
    stretched = described({"like": "stretch", "mean": [0.0], "channels": "rgb"})
    assert (stretched.framing, stretched.mean, stretched.std) == (None, (0.0,) * 3, described().std)


@pytest.mark.parametrize("model", ["vit_tiny_patch16_224", "resnet18", "inception_v3", "mobilenetv3_small_100"])
def test_it_is_what_timm_resolves(model: str) -> None:
    found = described("timm", model=model)
    wanted = timm.data.resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg(model).to_dict())
    assert found.framing == {name: wanted[name] for name in TIMM}
    assert (found.mean, found.std) == (wanted["mean"], wanted["std"])


def test_the_config_json_of_a_folder_of_weights_goes_before_timm_s(tmp_path: Path) -> None:
    config = {"mean": MEAN, "std": STD, "crop_pct": 0.5, "crop_mode": "squash", "interpolation": "lanczos"}
    model = timm.create_model("test_resnet", num_classes=2)
    timm.models.save_for_hf(model, str(tmp_path), safe_serialization=True, model_config={}, data_config=config)
    for weights in (tmp_path, tmp_path / "model.safetensors"):
        found = described("timm", weights=str(weights))
        assert found.framing == {name: config[name] for name in TIMM}
        assert (found.mean, found.std) == (MEAN, STD)
    other = tmp_path / "mine.pth"  # nobody says that the file belongs to the configuration
    other.touch()
    assert described("timm", weights=str(other)) == described("timm")


def test_bgr_is_turned_into_rgb_once() -> None:
    found = resolve({"mean": MEAN, "std": STD, "channels": "bgr"}, {}, MEAN, STD, 3)
    assert (found.mean, found.std, found.order) == (MEAN[::-1], STD[::-1], "bgr")
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=2).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        wanted = model(images.flip(1))
        torch.testing.assert_close(take_rgb(model, "bgr")(images), wanted)
        torch.testing.assert_close(take_rgb(model, "rgb")(images), wanted)


def test_the_size_of_the_test_has_its_own_crop() -> None:
    """As timm's `validate.py` does it, which takes size and crop of the test."""
    config = timm.get_pretrained_cfg("resnet50.a1_in1k").to_dict()
    assert (config["input_size"][1], config["test_input_size"][1]) == (224, 288)
    for size, of_test in ((224, False), (288, True)):
        wanted = timm.data.resolve_data_config({}, pretrained_cfg=config, use_test_size=of_test)
        found = described("timm", model="resnet50.a1_in1k", image_size=size)
        assert found.framing == {name: wanted[name] for name in TIMM}
        assert wanted["input_size"][1] == size
    same = resolve("timm", {**config, "input_size": (3, 288, 288)}, MEAN, STD, 3, 288)
    assert same.framing is not None
    assert same.framing["crop_pct"] == config["crop_pct"]


CONFIGURATIONS = {
    "mean": ([123.7, 116.3, 103.5], ["a", 1, 1], [0.5, 0.5], [], [float("nan")] * 3, "0.5", [-0.5] * 3),
    "std": ([58.4, 57.1, 57.4], [0, 0, 0], [-1, 1, 1], [True] * 3, None),
    "crop_pct": ("0.9", -1, float("inf"), [1.0]),
}


@pytest.mark.parametrize(("part", "value"), [(part, value) for part, all_ in CONFIGURATIONS.items() for value in all_])
def test_a_configuration_without_sense_is_refused_unless_it_is_said_by_hand(part: str, value: Any) -> None:
    config = {"mean": MEAN, "std": STD, part: value}
    with pytest.raises(UserError) as caught:
        resolve("timm", config, config["mean"], config["std"], 3)
    assert str(caught.value).startswith(f"backbones: {part!r} of the weights' configuration is ")
    right = {"mean": MEAN, "std": STD, "crop_pct": 1.0}[part]
    resolve({part: right}, config, config["mean"], config["std"], 3)


def test_a_configuration_that_says_nothing_leaves_timm_s(tmp_path: Path) -> None:
    timm.models.save_for_hf(timm.create_model("test_resnet", num_classes=2), str(tmp_path), safe_serialization=True)
    for config in ({"mean": 0.1, "std": 0.2}, {}):
        content = json.loads((tmp_path / "config.json").read_text()) | {"pretrained_cfg": config}
        (tmp_path / "config.json").write_text(json.dumps(content))
        found = described("timm", weights=str(tmp_path))
        assert (found.mean, found.std) == (
            ((0.1,) * 3, (0.2,) * 3) if config else described().mean and ((0.5,) * 3,) * 2
        )
    assert found.framing == TIMM


def test_an_interpolation_that_timm_draws_is_refused() -> None:
    with pytest.raises(UserError, match="the interpolation 'random'"):
        resolve("timm", {"interpolation": "random"}, MEAN, STD, 3)


def test_grey_images_stay_grey() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 14), dtype=np.uint8))
    found = transform(TIMM, (0.5,), 8)(image)
    assert (found.shape, found.dtype) == ((8, 8, 1), np.uint8)


def test_guessing_is_told_from_weak() -> None:
    labels = np.arange(200) % 10
    random = np.random.default_rng(0).normal(size=(200, 10))
    assert guesses(random[:, ::1] * 0 + np.arange(10), labels) == pytest.approx(0.1)  # always the same class
    assert guesses(np.roll(np.eye(10)[labels], 1, axis=1), labels) == 0  # all rows moved
    assert guesses(np.eye(10)[np.where(np.arange(200) % 3 == 0, labels, 0)], labels) is None
    assert guesses(random[:20], labels[:20]) is None  # too few to say
    unbalanced = np.where(np.arange(200) < 190, 0, 1)
    assert guesses(np.eye(2)[np.zeros(200, int)], unbalanced) == 0.5  # not 0.95
