"""Let timm convert state dicts: older and other namings of its models, numbers of channels, position embeddings.

Every tensor of the model must come from the file: see `whole_loading`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from torch import nn

from finecal.models.build import Architecture, build, head
from finecal.models.fitting import shapes_match
from finecal.models.heads import POOLED_TWICE, is_pooled_twice
from finecal.models.joined_heads import layers_of
from finecal.models.state_dicts import State
from finecal.models.whole_loading import FAILURES


def rename_by_timm(state: State, description: Architecture, model: nn.Module) -> State | None:
    """Return the state with its own head under timm's names; None if timm cannot convert its names.

    The number of classes of the head is not known yet. It is taken from the only matrix over the features whose shape
    occurs once, since layers within a model repeat; or as often as there are classifiers.
    """
    shapes = Counter(tuple(tensor.shape) for tensor in state.values() if tensor.ndim == 2)
    layers = layers_of(model)
    widths = Counter(layers.widths if layers is not None else (head(model).in_features,))
    for (rows, columns), count in shapes.items():
        if count == widths.get(columns) and description.head == "linear":
            whole = dataclasses.replace(description, classes=tuple(map(str, range(rows))))
            if (found := load_by_timm(state, whole, model)) is not None:
                return found.state_dict()
    return None


def load_by_timm(state: State, description: Architecture, model: nn.Module) -> nn.Module | None:
    """Let timm rename and reshape the state; None if the result is not the whole model."""
    config: Any = getattr(model, "pretrained_cfg", None)
    if not isinstance(config, dict):  # a model that is not timm's
        return None
    first = config.get("first_conv")
    first_weight = state.get(f"{first}.weight") if isinstance(first, str) else None
    channels = int(first_weight.shape[1]) if first_weight is not None and first_weight.ndim == 4 else 3
    size = (channels, description.image_size, description.image_size)
    overlay = {
        "state_dict": dict(state), "num_classes": len(description.classes), "label_offset": 0, "custom_load": False,
        "input_size": size,
    }  # fmt: skip
    try:
        return build(description, weights="random", overlay=overlay)
    except FAILURES:
        return None  # the caller reports what does not fit


def adapt_by_timm(state: State, description: Architecture, model: nn.Module, prefix: str) -> nn.Module | None:
    """Return the model with a state that timm renames and reshapes; a head that timm does not have stays as it is.

    Parameters
    ----------
    prefix
        Of the names of the head's tensors.
    """
    if description.head == "linear" and not is_pooled_twice(description.options):
        return load_by_timm(state, description, model)
    if description.projection:
        return None
    options = {name: value for name, value in description.options.items() if (name, value) != POOLED_TWICE}
    plain = dataclasses.replace(description, head="linear", options=options)
    timm_s = build(plain, weights="random")
    body = {name: tensor for name, tensor in state.items() if not name.startswith(prefix)}
    of_timm = {name: tensor for name, tensor in timm_s.state_dict().items() if name.startswith(prefix)}
    found = load_by_timm({**body, **of_timm}, plain, timm_s)
    if found is None:
        return None
    whole = {name: tensor for name, tensor in found.state_dict().items() if name not in of_timm}
    whole |= {name: tensor for name, tensor in state.items() if name.startswith(prefix)}
    if not shapes_match(whole, model.state_dict()):
        return None
    model.load_state_dict(whole)
    return model
