"""A tiny model, eighteen samples of two of four classes, and a short training of it with a recipe."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from finecal import registry
from finecal.config import Training, plugin_options
from finecal.models.build import architecture, build
from finecal.recipes import BaseRecipe, Context
from finecal.runtime.device import place_model
from finecal.training.batches import TrainingData
from finecal.training.loop import TrainingRun
from finecal.training.state import StateFile
from finecal.training.task import TrainingTask

SIZE = 16
CLASSES = ("ant", "bee", "cod", "dab")
FINE_TUNING = np.array([True, False, True, False])
LABELS = np.array([0, 2] * 9, dtype=np.int32)
COORDINATES = ("pets", "run", 3)
TRAINING = Training(lr=0.05, epochs=2, batch_size=6)  # 3 steps per epoch, 6 in a cycle
DESCRIPTION = architecture({"model": "test_resnet", "options": {}, "image_size": SIZE}, CLASSES, 1)
DESCRIPTIONS = {"linear": DESCRIPTION, "cosine": dataclasses.replace(DESCRIPTION, head="cosine")}
DEVICE = torch.device("cpu")
# Options with which the short training reaches all that a recipe does.
OPTIONS: dict[str, dict[str, Any]] = {
    "ewc": {"samples": 5},
    "lolsgd": {"copies": 2, "local_steps": 1},
    "soup": {"members": 2},
}

Weights = dict[str, Tensor]
Run = tuple[nn.Module, list[dict[str, float]]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For a module that imports it: small models are slower on more threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def recipe_of(name: str, **options: Any) -> BaseRecipe[Any]:
    """A recipe with its options; by default those of `OPTIONS`."""
    made: BaseRecipe[Any] = registry.load("recipe", name).Recipe(
        plugin_options("recipe", name, options or OPTIONS.get(name, {}))
    )
    return made


@cache
def _pretrained(description: str) -> nn.Module:
    torch.manual_seed(0)
    model = build(DESCRIPTIONS[description], weights="random").train()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)  # timm starts the last one of a block at 0: no gradient
        for _ in range(3):
            model(torch.randn(8, 1, SIZE, SIZE) + 0.5)
    return model.eval()


def pretrained(head: str = "linear") -> nn.Module:
    """θ⁰: random weights, batch statistics that are not those of a fresh layer; in memory as after loading."""
    return place_model(copy.deepcopy(_pretrained(head)), DEVICE)


def data(labels: np.ndarray = LABELS) -> TrainingData:
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), SIZE, SIZE, 1), dtype=np.uint8)
    return TrainingData.from_arrays(pixels, labels, np.ones(len(labels), dtype=bool), DEVICE)


def batch(n: int = 6, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Images (n, 1, SIZE, SIZE) and labels (n,) of S."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, SIZE, SIZE, generator=random), torch.from_numpy(LABELS[:n].astype(np.int64))


def context(fine_tuning: np.ndarray = FINE_TUNING, labels: np.ndarray = LABELS, steps: int = 6) -> Context:
    """Make the context that a recipe is given; the images are those of `batch`."""
    images, _ = batch(len(labels))
    return Context(
        torch.from_numpy(fine_tuning), torch.from_numpy(labels.astype(np.int64)),
        lambda positions: images[torch.from_numpy(positions)], steps, COORDINATES,
    )  # fmt: skip


def trained(
    recipe: BaseRecipe[Any],
    state: Path,
    *,
    training: Training = TRAINING,
    labels: np.ndarray = LABELS,
    fine_tuning: np.ndarray = FINE_TUNING,
    head: str = "linear",
    observe: Callable[[nn.Module], dict[str, float]] = lambda model: {},
) -> Run:
    """The trained model and its history; the state is saved after every step."""
    model = pretrained(head)
    task = TrainingTask(model, DESCRIPTIONS[head], data(labels), recipe, training, fine_tuning, COORDINATES)
    return model, TrainingRun(task, StateFile(state, {}, 0), observe).run()
