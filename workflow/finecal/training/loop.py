"""The training loop: one for every recipe, resumable at any step, with the same result as if never interrupted.

All randomness of step t comes from the run's coordinates and t: which samples, how they are changed, dropout.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from timm.optim import create_optimizer_v2
from torch import Tensor, nn

from finecal.config import Training
from finecal.data.augmentation import augment, resize_and_normalise
from finecal.errors import UserError
from finecal.models.build import Architecture, head, normaliser
from finecal.models.extraction import extract
from finecal.recipes import BaseRecipe, Context
from finecal.runtime.device import autocast, placed, resolved, seed_everything, sent
from finecal.seeds import seed_of
from finecal.training.batches import Batches, Preparation, TrainingData
from finecal.training.progress import Teller
from finecal.training.state import Interrupted, Signals, StateFile

Observe = Callable[[nn.Module], dict[str, float]]

# Optimisers of timm's factory that torch has in one kernel for all parameters.
FUSED = ("adagrad", "adam", "adamw", "momentum", "sgd")

# Where a loss is not finite, by precision.
# On processors with AMX, torch 2.13 leaves parts of the gradient of a strided convolution of 1 × 1 pixels unwritten.
HINTS = {
    "float32": "A smaller learning rate, `warmup_steps` or `clip_grad` often helps",
    "bfloat16": "`precision: float32`, a smaller learning rate, `warmup_steps` or `clip_grad` often helps",
}


def train(
    model: nn.Module,
    description: Architecture,
    data: TrainingData,
    recipe: BaseRecipe[Any],
    training: Training,
    *,
    fine_tuning: np.ndarray,
    coordinates: tuple[str | int, ...],
    state: StateFile,
    observe: Observe,
    features: Callable[[], np.ndarray] | None = None,
    precision: str = "auto",
    compiled: bool = False,
) -> list[dict[str, float]]:
    """Train a model in place.

    Parameters
    ----------
    model
        θ⁰, on the data's device.
    fine_tuning
        (C,) bool: the classes of S.
    coordinates
        What makes this run's randomness its own.
    observe
        Called before the first step and after every epoch with the model in evaluation mode; its numbers
        become columns of the history.
    features
        Gives the samples' features (N, D) float32 by θ⁰, for recipes that train on them; by default they are computed.
    precision
        "float32", "bfloat16", or "auto": see `finecal.runtime.device.resolved`.
    compiled
        Whether the model is compiled by torch.

    Returns
    -------
    One row per epoch of each of the recipe's cycles, and one for the start: epoch, step, loss (mean of the epoch),
    lr (of the head, at the epoch's end), seconds (of the epoch), and what `observe` returned.

    Raises
    ------
    UserError
        If a loss is not finite: with the step and the samples of the batch. If the recipe is not possible for this
        model.
    Interrupted
        After SIGTERM, SIGURG or SIGUSR1, once the state is saved.
    """
    device = data.labels.device
    batches = Batches(len(data.samples), training.batch_size, coordinates)
    per_epoch = training.steps_per_epoch or batches.steps_per_pass()
    cycle = per_epoch * training.epochs
    total = cycle * recipe.cycles
    mean, std = normaliser(description, device)
    augmentation = training.augmentation.model_dump()

    def plain(positions: np.ndarray) -> Tensor:
        return resize_and_normalise(data.pixels[positions], description.image_size, (mean, std))

    def changed(pixels: Tensor, step: int) -> Tensor:
        random = torch.Generator().manual_seed(seed_of(*coordinates, "augment", step))
        return augment(pixels, description.image_size, augmentation, random, (mean, std))

    images = Preparation(data.pixels, changed)
    of_s = torch.from_numpy(fine_tuning).to(device)
    seed_everything(seed_of(*coordinates, "prepare"))
    recipe.prepare(model, Context(of_s, data.labels, plain, total, coordinates))
    if compiled:
        model.compile()
    optimizer = _optimizer(model, training)
    start, history, losses = 0, [], torch.zeros(per_epoch, device=device)
    saved = state.load()
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        recipe.load_state_dict(saved["recipe"])
        start, history = saved["step"], saved["history"]
        losses.copy_(saved["losses"])
        _log(f"going on from step {start} of {total}")
    else:
        history.append(_row(0, 0, math.nan, training.lr, 0.0, model, observe))
    kept: Tensor | None = None
    following: np.ndarray | None = None
    clock = time.monotonic() - (saved["seconds"] if saved else 0.0)
    # Looking at a loss makes a GPU wait, so there it is looked at now and then; state is never saved unlooked.
    look_every = 1 if device.type == "cpu" else 50
    looked = start

    def checked(step: int) -> None:
        first = looked % per_epoch  # every epoch ends with a look, so these are of one epoch
        for number, value in enumerate(losses[first : first + step - looked].tolist(), looked):
            if not math.isfinite(value):
                ids = sorted(data.samples[recipe.batch(number, batches[number])].tolist())
                raise UserError(
                    f"the loss of step {number} is {value}",
                    where="/".join(map(str, coordinates)), why=f"Its batch holds the samples {ids}",
                    hint=HINTS[resolved(precision, device)],
                )  # fmt: skip

    with Signals() as signals, Teller(total // per_epoch, per_epoch, batches.size) as teller:
        for step in range(start, total):
            seed_everything(seed_of(*coordinates, "model", step))
            model.train()
            recipe.before_step(model, step)
            if step and (step % cycle == 0 or recipe.restarts(step)):
                optimizer = _optimizer(model, training)
            factor = _schedule(step % cycle, cycle, training.warmup_steps)
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * factor
            positions = recipe.batch(step, batches[step]) if following is None else following
            chosen, following = sent(torch.from_numpy(positions), device), None
            if recipe.on_features(step):
                if kept is None:
                    found = features() if features else extract(model, description, data.pixels, device, precision)[0]
                    kept = torch.from_numpy(found).to(device)
                learner: nn.Module = head(model)
                inputs = kept[chosen]
            else:
                learner, kept = model, None
                inputs = images(step, positions)
                if images.looks_ahead and step + 1 < total and not recipe.on_features(step + 1):
                    following = recipe.batch(step + 1, batches[step + 1])
                    images.ahead(step + 1, following)
            with autocast(device, precision):
                loss = recipe.loss(learner, inputs, data.labels[chosen], label_smoothing=training.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if training.clip_grad is not None:
                nn.utils.clip_grad_norm_(_trained(model), training.clip_grad)
            optimizer.step()
            recipe.after_step(model, step)
            losses[step % per_epoch] = loss.detach()

            done = step + 1
            # Looked at once: a signal that comes later is for the next step, which saves the state.
            asked = signals.received
            due = done == total or state.is_due() or asked is not None
            if due or done % per_epoch == 0 or done % look_every == 0:
                checked(done)
                looked = done
                teller.step(done, losses, clock)
            if done % per_epoch == 0:
                row = _row(done // per_epoch, done, float(losses.double().mean()), optimizer.param_groups[-1]["lr"],
                           time.monotonic() - clock, model, observe)  # fmt: skip
                history.append(row)
                teller.epoch(row)
                clock = time.monotonic()
            if due:
                state.save({
                    "step": done, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
                    "recipe": recipe.state_dict(), "history": history, "losses": losses,
                    "seconds": time.monotonic() - clock,
                })  # fmt: skip
            if asked is not None:
                raise Interrupted(asked)
    recipe.finish(model)
    placed(model, device)  # weights that a recipe has made anew lie like the others, and the model as when it is read
    return history


def _trained(model: nn.Module) -> Iterator[nn.Parameter]:
    return (p for p in model.parameters() if p.requires_grad)


def _optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """timm's optimiser with two groups: backbone, then head, each with its learning rate."""
    in_head = {id(p) for p in head(model).parameters()}
    backbone = [p for p in _trained(model) if id(p) not in in_head]
    last = [p for p in _trained(model) if id(p) in in_head]
    groups: list[dict[str, Any]] = [
        {"params": params, "lr": lr, "base_lr": lr}
        for params, lr in ((backbone, training.lr * training.backbone_lr_scale), (last, training.lr))
        if params
    ]
    if not groups:
        raise UserError("the recipe finds no parameter of this model to train", where="recipes")
    # On the CPU the last digits would differ from earlier results; what torch takes by itself on a GPU is slower.
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
    return optimizer


def _schedule(step: int, total: int, warmup: int) -> float:
    """The learning rate of a step as a part of its start: linear rise, then a half cosine to zero."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def _row(
    epoch: int, step: int, loss: float, lr: float, seconds: float, model: nn.Module, observe: Observe
) -> dict[str, float]:
    model.eval()
    return {"epoch": epoch, "step": step, "loss": loss, "lr": lr, "seconds": seconds, **observe(model)}


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
