"""Let timm's loader fail where a tensor of the model is not among the weights.

timm loads some models, and all with another number of classes, with `strict=False`: what is missing stays random. Of
its own weights it knows which lack something, such as the last norm. Those of others must be whole, but for a
classifier of other classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from timm.models import _builder
from torch import nn

from finecal.errors import UserError, counted

SHOWN = 6  # names in an error
COUNTER = "num_batches_tracked"  # BatchNorm's, which only training without momentum reads
# Parts of names of classifiers that only training has, which models may leave out.
AUXILIARY = ("aux",)
# What timm raises for weights or arguments that a model cannot have.
FAILURES = (UserError, RuntimeError, KeyError, AttributeError, AssertionError, TypeError, ValueError, IndexError)


@contextmanager
def whole_loading() -> Iterator[None]:
    """Within this, timm fails to load weights of others that are not whole: a state dict, or another's on the hub."""
    original = _builder.load_pretrained

    def load(model: nn.Module, pretrained_cfg: dict[str, Any] | None = None, **options: Any) -> None:
        config: Mapping[str, Any] = pretrained_cfg or {}
        is_given = bool(config.get("state_dict"))
        if not is_given and config.get("source") != "hf-hub":
            original(model, pretrained_cfg=pretrained_cfg, **options)
            return
        replaced = _classifiers(config) if options.get("num_classes") != config.get("num_classes") else ()

        def load_whole(state: Mapping[str, Any], strict: bool = True) -> Any:
            result = type(model).load_state_dict(model, state, strict=strict and not is_given)
            missing = [key for key in result.missing_keys if not key.endswith(COUNTER) and not key.startswith(replaced)]
            surplus = [key for key in result.unexpected_keys if not any(part in key.lower() for part in AUXILIARY)]
            if missing or (surplus and is_given):
                shown = ", ".join([*missing, *surplus][:SHOWN])
                raise RuntimeError(f"it lacks {counted(len(missing), 'tensor')}: {shown}")
            return result

        model.load_state_dict = load_whole  # type: ignore[assignment, method-assign]
        try:
            original(model, pretrained_cfg=pretrained_cfg, **options)
        finally:
            del model.load_state_dict

    _builder.load_pretrained = load
    try:
        yield
    finally:
        _builder.load_pretrained = original


def _classifiers(config: Mapping[str, Any]) -> tuple[str, ...]:
    names = config.get("classifier") or ()
    return tuple(f"{name}." for name in ((names,) if isinstance(names, str) else names))
