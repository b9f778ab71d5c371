"""Models of grey images that read images with colours."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

# Parts of red, green and blue in the grey of ITU-R BT.601, which Pillow's mode L and torchvision's `Grayscale` take.
LUMA = (0.299, 0.587, 0.114)


@torch.no_grad()
def read_colours_as_grey(model: nn.Module) -> None:
    """Let weights for one channel that timm has spread over three see the grey of an image, as before.

    timm repeats the first layer's weights and divides them by three, so that the model would see the mean of red, green
    and blue. Here the three copies are weighted as red, green and blue are in grey; for images without colour that is
    the same. Mean and standard deviation are those of the one channel, three times. Other models are left as they are.
    """
    config: Any = getattr(model, "pretrained_cfg", None) or {}
    names = config.get("first_conv")
    if not config.get("input_size") or config["input_size"][0] != 1 or not names:
        return
    for name in (names,) if isinstance(names, str) else names:
        weight: Any = model.get_submodule(name).weight
        if weight.ndim == 4 and weight.shape[1] == 3 and bool((weight == weight[:, :1]).all()):
            weight.mul_(3 * weight.new_tensor(LUMA).reshape(1, 3, 1, 1))
