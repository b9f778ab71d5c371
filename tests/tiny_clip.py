"""A tiny random CLIP as open_clip writes it, whose image tower timm has: what zero-shot heads are tested with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import safetensors.torch
import torch
from torch import nn

# timm's ViT-B/32 of CLIP and open_clip's, both made as small as this.
SMALL = {"embed_dim": 64, "depth": 2, "num_heads": 1, "patch_size": 16}
MODEL = "vit_base_patch32_clip_224"
CONFIG: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}

Clip = tuple[str, nn.Module]


def write_clip(folder: Path, seed: int = 0, **changes: Any) -> Clip:
    """A random CLIP as open_clip writes it, and the model itself."""
    config = {**CONFIG, **changes}
    folder.mkdir()
    content = {"model_cfg": config, "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    torch.manual_seed(seed)
    clip = open_clip.CLIP(**config)
    with torch.no_grad():
        clip.logit_scale.fill_(3.0)
    state = {name: tensor.contiguous() for name, tensor in clip.state_dict().items()}
    safetensors.torch.save_file(state, folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}", clip.eval()
