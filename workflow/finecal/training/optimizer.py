"""Optimiser and learning rate of a training: timm's factory, and a half cosine after a linear warm-up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from torch import nn

from finecal.config import Training
from finecal.errors import UserError
from finecal.models.build import head

# Optimisers of timm's factory for which torch has one kernel for all parameters.
FUSED = ("adagrad", "adam", "adamw", "momentum", "sgd")


def trained_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters with `requires_grad`."""
    return (p for p in model.parameters() if p.requires_grad)


def make_optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Create timm's optimiser with two parameter groups, the backbone's and then the head's.

    Each group has its learning rate and keeps it as `base_lr`; a group without trained parameters is left out.

    Raises
    ------
    UserError
        If no parameter is trained, or timm cannot create the optimiser with these options.
    """
    in_head = {id(p) for p in head(model).parameters()}
    backbone = [p for p in trained_parameters(model) if id(p) not in in_head]
    last = [p for p in trained_parameters(model) if id(p) in in_head]
    groups: list[dict[str, Any]] = [
        {"params": params, "lr": lr, "base_lr": lr}
        for params, lr in ((backbone, training.lr * training.backbone_lr_scale), (last, training.lr))
        if params
    ]
    if not groups:
        raise UserError("the recipe leaves no parameter of this model to train", where="recipes")
    # Only on a GPU, where torch's default is slower; on the CPU the last digits would differ from earlier results.
    fused = {"fused": True} if groups[0]["params"][0].device.type == "cuda" and training.optimizer in FUSED else {}
    try:
        optimizer: torch.optim.Optimizer = create_optimizer_v2(
            groups, opt=training.optimizer, lr=training.lr, weight_decay=training.weight_decay,
            momentum=training.momentum, **{**fused, **training.optimizer_options},
        )  # fmt: skip
    except (TypeError, ValueError, AssertionError, ImportError, RuntimeError) as error:
        raise UserError(
            f"timm cannot create the optimiser {training.optimizer!r} with {training.optimizer_options}: {error}",
            where="training.optimizer",
        ) from error
    _correct_decay_by_group(optimizer)
    return optimizer


def _correct_decay_by_group(optimizer: torch.optim.Optimizer) -> None:
    """Let weight decay that is corrected by the learning rate compare each group's rate with the group's own highest.

    timm's `sgdc`, `adamc` and the like decay by lr²/max_lr, and take as max_lr the factory's rate, the head's, for all
    groups: a backbone at a tenth of it would decay ten times less again. A group whose rate is 0 decays with neither.
    """
    for group in optimizer.param_groups:
        if "max_lr_snapshot" in group and group["base_lr"] > 0:
            group["max_lr_snapshot"] = group["base_lr"]


def learning_rate_factor(step: int, total: int, warmup: int) -> float:
    """Return the learning rate of a step divided by the base rate: a linear rise, then a half cosine to zero."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
