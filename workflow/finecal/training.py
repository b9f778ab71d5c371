"""The training loop: one for every recipe, resumable at any step, with the same result as if never interrupted.

All randomness of step t comes from the run's coordinates and t: which samples, how they are changed, dropout.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from timm.optim import create_optimizer_v2
from torch import Tensor, nn

from finecal.augmentation import augment, resize
from finecal.config import Training
from finecal.device import autocast, seed_everything
from finecal.errors import UserError
from finecal.models import Architecture, head, normaliser
from finecal.recipes import BaseRecipe, Context
from finecal.seeds import seed_of
from finecal.state import Interrupted, Signals, StateFile

Observe = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True)
class TrainingData:
    """The training samples, on the device.

    Attributes
    ----------
    pixels
        (N, channels, H, W) uint8.
    labels
        (N,) int64.
    samples
        (N,) int32 on the CPU: the samples' numbers in the data set, for error messages.
    """

    pixels: Tensor
    labels: Tensor
    samples: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray, labels: np.ndarray, chosen: np.ndarray, device: torch.device) -> TrainingData:
        """The chosen (bool mask) of (N, H, W, channels) uint8 pixels and (N,) labels."""
        images = torch.from_numpy(pixels[chosen].transpose(0, 3, 1, 2).copy())
        return cls(
            images.to(device), torch.from_numpy(labels[chosen].astype(np.int64)).to(device), np.flatnonzero(chosen)
        )


class Batches:
    """Which samples step t takes: an endless row of permutations, cut into batches of equal size."""

    def __init__(self, n: int, size: int, coordinates: tuple[str | int, ...]) -> None:
        self.n, self.size, self.coordinates = n, min(size, n), coordinates
        self._passes: dict[int, np.ndarray] = {}

    def steps_per_pass(self) -> int:
        return math.ceil(self.n / self.size)

    def __getitem__(self, step: int) -> np.ndarray:
        """(batch size,) int64 positions among the N samples."""
        places = np.arange(step * self.size, (step + 1) * self.size)
        numbers, within = places // self.n, places % self.n
        return np.array([self._permutation(int(p))[w] for p, w in zip(numbers, within, strict=True)])

    def _permutation(self, number: int) -> np.ndarray:
        if number not in self._passes:
            order = np.random.default_rng(seed_of(*self.coordinates, "order", number)).permutation(self.n)
            self._passes = {k: v for k, v in self._passes.items() if k == number - 1} | {number: order}
        return self._passes[number]


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

    def plain(positions: np.ndarray) -> Tensor:
        pixels = data.pixels[torch.from_numpy(positions).to(device)].float() / 255
        return (resize(pixels, description.image_size) - mean) / std

    of_s = torch.from_numpy(fine_tuning).to(device)
    seed_everything(seed_of(*coordinates, "prepare"))
    recipe.prepare(model, Context(of_s, data.labels, plain, total, coordinates))
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
    clock = time.monotonic() - (saved["seconds"] if saved else 0.0)
    # Looking at a loss makes a GPU wait, so there it is looked at now and then; state is never saved unlooked.
    look_every = 1 if device.type == "cpu" else 50
    looked = start

    def checked(step: int) -> None:
        for number in range(looked, step):
            if not math.isfinite(losses[number % per_epoch]):
                ids = sorted(data.samples[recipe.batch(number, batches[number])].tolist())
                raise UserError(
                    f"the loss of step {number} is {float(losses[number % per_epoch])}",
                    where="/".join(map(str, coordinates)), why=f"Its batch holds the samples {ids}",
                    hint="A smaller learning rate, `warmup_steps` or `clip_grad` often helps",
                )  # fmt: skip

    with Signals() as signals:
        for step in range(start, total):
            seed_everything(seed_of(*coordinates, "model", step))
            model.train()
            recipe.before_step(model, step)
            if step and (step % cycle == 0 or recipe.restarts(step)):
                optimizer = _optimizer(model, training)
            factor = _schedule(step % cycle, cycle, training.warmup_steps)
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * factor
            chosen = torch.from_numpy(recipe.batch(step, batches[step])).to(device)
            random = torch.Generator().manual_seed(seed_of(*coordinates, "augment", step))
            pixels = data.pixels[chosen].float() / 255
            images = augment(pixels, description.image_size, training.augmentation.model_dump(), random)
            with autocast(device):
                loss = recipe.loss(
                    model, (images - mean) / std, data.labels[chosen], label_smoothing=training.label_smoothing
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if training.clip_grad is not None:
                nn.utils.clip_grad_norm_(_trained(model), training.clip_grad)
            optimizer.step()
            recipe.after_step(model, step)
            losses[step % per_epoch] = loss.detach()

            done = step + 1
            due = done == total or state.is_due() or signals.received is not None
            if due or done % per_epoch == 0 or done % look_every == 0:
                checked(done)
                looked = done
            if done % per_epoch == 0:
                row = _row(done // per_epoch, done, float(losses.double().mean()), optimizer.param_groups[-1]["lr"],
                           time.monotonic() - clock, model, observe)  # fmt: skip
                history.append(row)
                _progress(row, total // per_epoch, per_epoch * batches.size)
                clock = time.monotonic()
            if due:
                state.save({
                    "step": done, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
                    "recipe": recipe.state_dict(), "history": history, "losses": losses,
                    "seconds": time.monotonic() - clock,
                })  # fmt: skip
            if signals.received is not None:
                raise Interrupted(signals.received)
    recipe.finish(model)
    return history


def _trained(model: nn.Module) -> Iterator[nn.Parameter]:
    return (p for p in model.parameters() if p.requires_grad)


def _optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """timm's optimiser with two groups: backbone, then head, each with its learning rate."""
    in_head = {id(p) for p in head(model).parameters()}
    backbone = [p for p in _trained(model) if id(p) not in in_head]
    last = [p for p in _trained(model) if id(p) in in_head]
    groups = [
        {"params": params, "lr": lr, "base_lr": lr}
        for params, lr in ((backbone, training.lr * training.backbone_lr_scale), (last, training.lr))
        if params
    ]
    if not groups:
        raise UserError("the recipe finds no parameter of this model to train", where="recipes")
    try:
        optimizer: torch.optim.Optimizer = create_optimizer_v2(
            groups, opt=training.optimizer, lr=training.lr, weight_decay=training.weight_decay,
            momentum=training.momentum, **training.optimizer_options,
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


def _progress(row: dict[str, float], epochs: int, samples: int) -> None:
    left = (epochs - row["epoch"]) * row["seconds"]
    _log(
        f"epoch {row['epoch']}/{epochs}  loss {row['loss']:.4f}  "
        f"{samples / max(row['seconds'], 1e-9):,.0f} images/s  {left:.0f} s left"
    )


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
