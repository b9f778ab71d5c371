"""`finecal.calibrate`: a copy of a model with γ in its last layer."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from finecal.calibration.contract import Data, Labelled, Unlabelled
from finecal.calibration.deployment import affine
from finecal.calibration.parameters import calibrator
from finecal.errors import UserError, not_finite
from finecal.io.outside_warnings import unseen
from finecal.library.batches import batches, logits_of
from finecal.library.classes import mask_of, names_of
from finecal.logits.doubts import doubts
from finecal.logits.kinds import kind_of
from finecal.logits.labels import labels_of
from finecal.models.last_layer import find_last_layer
from finecal.registry import calibrator_record

TOLERANCE = 1e-4  # of the largest logit, between the folded model and its logits with γ
READABLE = {"train_fine_tuning", "pretrained", "target_unlabelled"}


@unseen()
def calibrate(
    model: nn.Module,
    loader: Iterable[Any],
    fine_tuning: Any,
    *,
    pretrained: nn.Module | None = None,
    method: str | None = None,
    classes: Any = None,
) -> nn.Module:
    """Return a copy of a classifier with γ in the bias of its last layer.

    Parameters
    ----------
    model
        Images (N, channels, H, W) → logits (N, C), or an object with `logits`, all classes in its head. It is not
        changed.
    loader
        Batches (images, labels), or dicts with `pixel_values` and `labels` or the like, of the training samples,
        prepared as for the model; those of S are used.
    fine_tuning
        S: numbers, names, or a mask (C,).
    pretrained
        The model before fine-tuning, with the same classes.
    method
        A calibrator that reads training samples of S (`finecal list calibrators`); by default `source_gap` with a
        pretrained model, `alg` without.
    classes
        Names of the classes.

    Returns
    -------
    The copy, in evaluation mode and on the model's device; its attribute `finecal` has method and parameters. A head
    without bias gets one; a model whose last layer is not linear gets a layer behind it.

    Raises
    ------
    UserError
        If the method reads other data, no sample is of S, accuracy on S is at chance, or a logit is not finite.

    Notes
    -----
    Mai et al. 2024, Fine-tuning is fine, if calibrated (arXiv 2409.16223): ALG. `source_gap` is this project's own.
    """
    name = method or ("alg" if pretrained is None else "source_gap")
    use = {"calibrator": name, "options": calibrator_record(name).options().model_dump()}
    made, reads, takes = calibrator(use)
    there = READABLE - ({"pretrained"} if pretrained is None else set())
    if not (reads | takes) <= there:
        lacking = sorted((reads | takes) - there)
        raise UserError(f"{name!r} reads {', '.join(lacking)}", why=f"Here it can read {', '.join(sorted(there))}")
    models = [model] if pretrained is None else [model, pretrained]
    (logits, *before), labels, images = _logits(models, loader)
    names = names_of(classes)
    numbers = labels_of(labels, logits.shape[1], names).numbers
    mask = mask_of(fine_tuning, logits.shape[1], names)
    state = made.fit(Data(mask, _available(logits, before, numbers, mask), reads, takes))
    numbers_of = affine(made, state, mask, {})
    if numbers_of is None:
        raise UserError(f"{name!r} cannot be folded into a model", why="It does more than scale and shift logits")
    folded = fold_into(model, *numbers_of, images)
    folded.finecal = {"calibrator": name, **{key: np.asarray(value).tolist() for key, value in state.items()}}  # type: ignore[assignment]
    return folded


def _available(
    logits: npt.NDArray[Any],
    before: Sequence[npt.NDArray[Any]],
    labels: npt.NDArray[np.int32],
    mask: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    of_s = mask[labels]
    if not of_s.any():
        raise UserError("no sample of the loader is of a class of S")
    subset = np.full(len(labels), "train")
    wrong = [one for one in doubts(logits, labels, subset, mask) if one.startswith("On the ")]
    if wrong:
        raise UserError("the samples do not fit the model", why=wrong[0])
    more = {"pretrained": before[0]} if before else {}
    chosen = {key: value[of_s] for key, value in more.items()}
    return {
        "train_fine_tuning": Labelled(logits[of_s], labels[of_s], more=chosen),
        "target_unlabelled": Unlabelled(logits, more=more),
    }


@torch.no_grad()
def _logits(models: Sequence[nn.Module], loader: Iterable[Any]) -> tuple[list[npt.NDArray[Any]], Any, Tensor]:
    """Return the logits (N, C) of each model, the labels, and the first images."""
    parts: list[list[npt.NDArray[Any]]] = [[] for _ in models]
    labels, first = [], None
    for model in models:
        if not isinstance(model, nn.Module):
            raise UserError(f"the model is a {type(model).__name__}", why="A module of torch is needed")
    training = [model.training for model in models]
    for model in models:
        model.eval()
    try:
        for images, own in batches(loader):
            first = images[:8] if first is None else first
            labels.append(own)
            for model, found in zip(models, parts, strict=True):
                found.append(logits_of(model, images).float().cpu().numpy())
    finally:
        for model, was in zip(models, training, strict=True):
            model.train(was)
    if first is None:
        raise UserError("the loader is empty")
    logits = [np.concatenate(found) for found in parts]
    if len({one.shape for one in logits}) > 1 or any(one.ndim != 2 for one in logits):
        raise UserError(f"the models give logits of shapes {', '.join(str(one.shape) for one in logits)}")
    for one in logits:
        if len(bad := np.flatnonzero(~np.isfinite(one).all(axis=1))):
            raise not_finite(int(bad[0]), len(bad))
        if (kind := kind_of(one)) == "probabilities":
            raise UserError(
                f"the model gives {kind}", why="γ is added to logits", hint="Bring the model without its last softmax"
            )
    return logits, np.concatenate(labels), first


def _device(model: nn.Module) -> torch.device:
    return next((tensor.device for tensor in model.parameters()), torch.device("cpu"))


class Shifted(nn.Module):
    """A model whose logits are scaled and shifted behind it, as its last layer cannot hold that."""

    def __init__(self, model: nn.Module, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = logits_of(self.model, images) * self.get_buffer("scale") + self.get_buffer("shift")
        return logits


@torch.no_grad()
def fold_into(model: nn.Module, scale: npt.NDArray[Any], shift: npt.NDArray[Any], images: Tensor) -> nn.Module:
    """Return a copy with z′ = scale · z + shift in its last linear layer, if that gives them; else behind it."""
    copied = copy.deepcopy(model).eval()
    device = _device(copied)
    a, b = (torch.as_tensor(values, dtype=torch.float64, device=device) for values in (scale, shift))
    wanted = logits_of(copied, images).double() * a + b
    last = _last_layer(copied, len(shift))
    if last is not None:
        bias: Tensor | None = last.bias
        if bias is None:
            last.bias = nn.Parameter(torch.zeros(len(shift), dtype=last.weight.dtype, device=device))
        last.weight.copy_(a[:, None] * last.weight.double())
        last.bias.copy_(a * last.bias.double() + b)
        if (logits_of(copied, images).double() - wanted).abs().max() <= TOLERANCE * max(1.0, float(wanted.abs().max())):
            return copied
    return Shifted(copy.deepcopy(model).eval(), a.float(), b.float())


def _last_layer(model: nn.Module, classes: int) -> nn.Linear | None:
    if callable(getattr(model, "get_classifier", None)):
        return find_last_layer(model)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear) and layer.out_features == classes]
    return layers[-1] if layers else None
