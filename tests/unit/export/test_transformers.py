"""What is exported opens in transformers too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from origins import shaken

from finecal.export.folder import write_timm_folder
from finecal.models.build import architecture, build

CLASSES = ("ant", "bee", "cod", "dab")


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_an_exported_folder_is_an_image_classifier_of_transformers(name: str, channels: int, tmp_path: Path) -> None:
    from transformers import AutoModelForImageClassification

    description = architecture({"model": name, "options": {}, "image_size": 32}, CLASSES, channels)
    model = shaken(build(description, weights="random"))
    write_timm_folder(tmp_path, model, description)
    opened = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    images = torch.randn(2, channels, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(opened(images).logits, model(images))
    assert tuple(opened.config.id2label.values()) == CLASSES
