"""The exported prepare.py does what timm's transform does, with Pillow and NumPy alone."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from timm.data import create_transform

from finecal.export import prepare

SIZES = ((17, 40), (63, 20), (31, 31), (24, 24), (100, 99), (9, 200))
MODES = [("center", 0.875), ("center", 1.0), ("squash", 0.9), ("squash", 1.0), ("border", 1.0), ("border", 0.8)]


def write_folder(folder: Path, config: dict[str, Any], stored: dict[str, Any] | None = None) -> None:
    (folder / "config.json").write_text(json.dumps({"pretrained_cfg": config}))
    (folder / "calibration.json").write_text(json.dumps({"stored": stored}))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(("crop_mode", "crop_pct"), MODES)
def test_it_equals_timm_to_the_bit(
    crop_mode: str, crop_pct: float, interpolation: str, channels: int, tmp_path: Path
) -> None:
    mean, std = (0.2, 0.4, 0.6)[:channels], (0.3, 0.2, 0.1)[:channels]
    config = {
        "input_size": (channels, 24, 24), "crop_mode": crop_mode, "crop_pct": crop_pct,
        "interpolation": interpolation, "mean": mean, "std": std,
    }  # fmt: skip
    write_folder(tmp_path, config)
    transform = create_transform(**config, is_training=False)
    random = np.random.default_rng(0)
    for width, height in SIZES:
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        wanted = transform(image.convert("L" if channels == 1 else "RGB")).numpy()
        np.testing.assert_array_equal(prepare.prepare(image, tmp_path), wanted)


def test_it_needs_pillow_and_numpy_only() -> None:
    nodes = ast.walk(ast.parse(Path(prepare.__file__).read_text("utf-8")))
    names = {
        name.split(".")[0]
        for node in nodes
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else
                     [one.name for one in node.names] if isinstance(node, ast.Import) else [])
    }  # fmt: skip
    assert names - sys.stdlib_module_names == {"numpy", "PIL"}
