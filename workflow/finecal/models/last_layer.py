"""The last linear layer of timm's models, which is their head here; what it reads are the features.

timm's `get_classifier` is a linear layer in most models. In some it is a convolution over 1 × 1 pixels, which does the
same, in others a module of several layers that ends with a linear one.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


class PixelHead(nn.Linear):
    """A 1 × 1 convolution over maps of one pixel as the linear layer that it is; in state dicts it is the convolution.

    So files of it are those of timm's model, and the rows of its head are a matrix.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits (N, C) of features (N, D) or of maps (N, D, 1, 1)."""
        return functional.linear(features.flatten(1), self.weight, self.bias)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if (weight := destination.get(f"{prefix}weight")) is not None:
            destination[f"{prefix}weight"] = weight[:, :, None, None]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *further: Any) -> None:
        weight = state_dict.get(f"{prefix}weight")
        if weight is not None and weight.ndim == 4:
            state_dict[f"{prefix}weight"] = weight.flatten(1)  # a copy of the caller's dict, of `load_state_dict`
        super()._load_from_state_dict(state_dict, prefix, *further)


def take_convolution_as_linear(model: nn.Module) -> None:
    """Replace a classifier that is a 1 × 1 convolution, in place."""
    convolution = model.get_classifier()  # type: ignore[operator]
    if not isinstance(convolution, nn.Conv2d) or convolution.kernel_size != (1, 1) or convolution.groups != 1:
        return
    weight, bias = convolution.weight, convolution.bias
    linear = PixelHead(convolution.in_channels, convolution.out_channels, bias is not None, weight.device, weight.dtype)
    linear.load_state_dict(convolution.state_dict())
    name = next(name for name, module in model.named_modules() if module is convolution)
    model.set_submodule(name, linear)


def find_last_layer(model: nn.Module) -> nn.Linear | None:
    """Return the classifier of a model, or the last linear layer in it; None if it is something else."""
    classifier = model.get_classifier()  # type: ignore[operator]
    if isinstance(classifier, nn.Linear):
        return classifier
    if not isinstance(classifier, nn.Module) or isinstance(classifier, nn.ModuleList):
        return None
    return next((layer for layer in reversed([*classifier.modules()]) if isinstance(layer, nn.Linear)), None)


def compute_features(model: nn.Module, last: nn.Linear, images: Tensor) -> Tensor:
    """Return what the last layer reads (N, D); the model's own features, unless its classifier has further layers."""
    if model.get_classifier() is last:  # type: ignore[operator]
        features: Tensor = model.forward_head(model.forward_features(images), pre_logits=True)  # type: ignore[operator]
        return features
    read: list[Tensor] = []
    with last.register_forward_pre_hook(lambda _, given: read.append(given[0])):
        model(images)
    return read[-1]
