"""Check that a model's logits are its head on its features, which is what finecal trains, calibrates and exports."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from finecal.errors import UserError
from finecal.models.build import Architecture, build, build_of_timm, forward, head
from finecal.models.joined_heads import layers_of, split_state

# Of the largest value. The same operations on the same image differ by rounding at most, others by far more.
TOLERANCE = 1e-3
IMAGES = 2
# What timm calls a second head → what a model does with it, and what helps.
SECOND_HEADS = {
    "aux_head": (
        "It adds those of a second head", "`options: {use_aux_head: false}` builds it without that head",
    ),
}  # fmt: skip


def check_plain_head(model: nn.Module, description: Architecture) -> None:
    """Compare, for random images, the model with features → head: what the head reads, and the logits.

    The model is used in evaluation mode, on its device; no global generator is.

    Raises
    ------
    UserError
        If they differ: the model adds something to its head's output, or its head reads something else. If it cannot
        compute images of this size.
    """
    images = _random_images(description).to(next(model.parameters()).device)
    try:
        logits, calls = _watch(model, images)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        side = description.image_size
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{description.model!r} cannot compute images of {side} × {side} pixels ({reason})", where="backbones",
            hint="Another `image_size` may suit it",
        ) from error  # fmt: skip
    was_training = model.training
    with torch.no_grad():
        features, again = forward(model.eval(), images)
    model.train(was_training)
    if len(calls) != 1 or not (_same(calls[0].read, features) and _same(logits, again)):
        raise _not_plain(model, description)
    _compare_with_timm(model, description, images, logits)


def _compare_with_timm(model: nn.Module, description: Architecture, images: Tensor, logits: Tensor) -> None:
    """Compare the logits of a model whose classifiers were joined with those of timm's model."""
    layers = layers_of(model)
    if layers is None:
        return
    of_timm = build_of_timm(description, weights="random").to(images.device).eval()
    of_timm.load_state_dict(split_state(model.state_dict(), layers))
    with torch.no_grad():
        if not _same(of_timm(images), logits):
            raise _not_plain(model, description)


def check_without_weights(description: Architecture) -> nn.Module:
    """Check what a model's code tells: timm creates it, it takes images of this size, and its head is a plain one.

    It takes no memory for weights, and the model that it returns, on torch's device `meta`, has none. What cannot be
    computed there is computed with random weights.

    Raises
    ------
    UserError
        If timm cannot create the model, it cannot compute such images, or its head is not a plain one.
    """
    plain = replace(description, head="linear", projection=0)
    try:
        with torch.device("meta"):
            model = build(plain, weights="random")
            logits, calls = _watch(model, _random_images(plain).to("meta"))
    except (RuntimeError, AssertionError):
        model = build(plain, weights="random")
        check_plain_head(model, plain)
        return model.to("meta")
    # A view, as of a head that is applied to maps of 1 × 1 pixels, has the head's output as its base.
    if len(calls) != 1 or not (logits is calls[0].given or logits._base is calls[0].given):
        raise _not_plain(model, description)
    return model


class _Call(NamedTuple):
    """What the head has read, and what it has given."""

    read: Tensor
    given: Tensor


def _watch(model: nn.Module, images: Tensor) -> tuple[Tensor, list[_Call]]:
    """Return the model's logits of images, in evaluation mode, and what its head did meanwhile."""
    calls: list[_Call] = []
    was_training = model.training
    hook = head(model).register_forward_hook(lambda _, read, given: calls.append(_Call(read[0].flatten(1), given)))
    try:
        with torch.no_grad():
            return model.eval()(images), calls
    finally:
        hook.remove()
        model.train(was_training)


def _not_plain(model: nn.Module, description: Architecture) -> UserError:
    parts = [name.rpartition(".")[2] for name, _ in model.named_modules()]
    why, hint = next(
        (said for part, said in SECOND_HEADS.items() if part in parts),
        ("finecal needs models whose last step is one linear layer", ""),
    )
    return UserError(
        f"the logits of {description.model!r} are not those of its head on its features", where="backbones",
        why=why, hint=hint,
    )  # fmt: skip


def _random_images(description: Architecture) -> Tensor:
    shape = (IMAGES, description.channels, description.image_size, description.image_size)
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(0), device="cpu")


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    largest = max(float(one.abs().max()), torch.finfo(torch.float32).tiny)
    return float((one.float() - other.float()).abs().max()) <= TOLERANCE * largest
