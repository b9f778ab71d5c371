"""What transformers' own classes make of an image is what their folder says in timm's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from finecal.errors import UserError
from finecal.models.build import architecture
from finecal.models.preprocessing import transform
from finecal.models.transformers_config import framing, mean_and_std

CLASSES: dict[str, dict[str, Any]] = {
    "ViTImageProcessor": {"size": {"height": 32, "width": 32}, "resample": 3},
    "BeitImageProcessor": {"size": {"height": 40, "width": 40}, "crop_size": {"height": 32, "width": 32}},
    "DeiTImageProcessor": {"size": {"height": 37, "width": 37}, "crop_size": {"height": 33, "width": 33}},
    "ConvNextImageProcessor": {"size": {"shortest_edge": 32}, "crop_pct": 0.8},
    "BitImageProcessor": {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}, "resample": 2},
}


def write(folder: Path, **content: Any) -> Path:
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("kind", CLASSES)
def test_it_is_what_the_class_makes(kind: str, tmp_path: Path) -> None:
    import transformers

    processor = getattr(transformers, kind)(**CLASSES[kind])
    processor.save_pretrained(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (52, 80, 3), dtype=np.uint8)
    wanted = processor(Image.fromarray(pixels), return_tensors="np", do_normalize=False)["pixel_values"][0]
    said = framing(tmp_path)
    side = said.pop("input_size")[1]
    found = transform(said, (0.5,) * 3, side)(Image.fromarray(pixels)).transpose(2, 0, 1) / 255
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1.01 / 255  # a rounding


def test_large_images_of_convnext_are_not_cropped(tmp_path: Path) -> None:
    for side, mode, part in ((224, "center", 0.875), (384, "squash", 1.0)):
        write(tmp_path, image_processor_type="ConvNextImageProcessor", size={"shortest_edge": side}, crop_pct=0.875)
        found = framing(tmp_path)
        assert (found["crop_mode"], found["crop_pct"], found["input_size"][1]) == (mode, part, side)


def test_sizes_as_they_were_before_2022(tmp_path: Path) -> None:
    write(tmp_path, feature_extractor_type="ConvNextFeatureExtractor", size=224, crop_pct=0.875, resample=3)
    assert framing(tmp_path)["crop_mode"] == "center"
    write(tmp_path, feature_extractor_type="ViTFeatureExtractor", size=224, resample=2)
    assert framing(tmp_path) == {
        "crop_mode": "squash", "crop_pct": 1.0, "interpolation": "bilinear", "input_size": (3, 224, 224)
    }  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"do_resize": False, "size": 224},
        {"size": {"shortest_edge": 224}},
        {"size": {"height": 2, "width": 3}},
        {"size": "a"},
    ],
)
def test_what_says_nothing_of_a_square(content: dict[str, Any], tmp_path: Path) -> None:
    assert framing(write(tmp_path, **content)) == {}


@pytest.mark.parametrize("content", [{"do_rescale": False}, {"rescale_factor": 1 / 127.5}, {"rescale_factor": "a"}])
def test_pixels_that_are_not_divided_by_255(content: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its pixels are not divided by 255"):
        mean_and_std(write(tmp_path, image_mean=[0.5] * 3, image_std=[0.5] * 3, **content))


def test_a_folder_and_its_file_say_the_same(tmp_path: Path) -> None:
    content = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 0}
    write(tmp_path, **content, image_mean=[0.1] * 3, image_std=[0.2] * 3)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    (tmp_path / "model.safetensors").touch()
    use = {"model": "vit_tiny_patch16_224", "options": {}, "image_size": 32, "preprocessing": "timm"}
    for weights in (tmp_path, tmp_path / "model.safetensors"):
        found = architecture({**use, "weights": str(weights)}, ("a", "b"), 3)
        assert found.framing == {"interpolation": "nearest", "crop_mode": "squash", "crop_pct": 1.0}
        assert (found.mean, found.std) == ((0.1,) * 3, (0.2,) * 3)
