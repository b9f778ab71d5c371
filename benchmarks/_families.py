"""The life of a model: created, trained a little by every recipe, interrupted, saved, loaded, exported."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import logging
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from timm.models import _registry
from torch import Tensor, nn

from finecal import registry
from finecal.config import Training, plugin_options
from finecal.errors import UserError
from finecal.export.folder import load_exported, write_model
from finecal.export.onnx_file import run_onnx, write_onnx
from finecal.models.build import Architecture, architecture, build
from finecal.models.files import load_model, save_model
from finecal.models.plain_head import check_plain_head
from finecal.recipes import BaseRecipe
from finecal.runtime.device import place_model
from finecal.training.batches import TrainingData
from finecal.training.loop import TrainingRun
from finecal.training.state import StateFile
from finecal.training.task import TrainingTask

LIST = Path(__file__).with_name("families.csv")
CPU = torch.device("cpu")
CLASSES, FINE_TUNING = ("ant", "bee", "cod"), np.array([True, True, False])
# One epoch of one step; recipes of several cycles take more.
# Gradients are clipped: where a map has one pixel, batch norm of two images makes anything of the last digits, and on
# some processors weights would grow until logits are not finite.
TRAINING = Training(lr=0.01, epochs=1, batch_size=2, steps_per_epoch=1, clip_grad=1.0)
# Recipes whose behaviour depends on the layers of a model.
OF_LAYERS = ("full", "bitfit", "frozen_bn", "lora", "norm_tuning")
# Those that take a second step and are resumed before it: all tensors as they are, and in other places.
RESUMED = ("full", "lora")
OPTIONS: dict[str, dict[str, Any]] = {
    "ewc": {"samples": 2}, "lolsgd": {"copies": 2, "local_steps": 1}, "soup": {"members": 2},
}  # fmt: skip
# Of the largest logit, as in `finecal.stages.export`.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Family:
    """A module of timm's models, and the one that stands for it: the smallest, made smaller by options where it can be.

    Attributes
    ----------
    name
        Of the module.
    model, options
        What `timm.create_model` is told.
    image_size
        The smallest that the model computes, of 32, 64, 96, … pixels.
    """

    name: str
    model: str
    image_size: int
    options: dict[str, Any]

    def describe(self) -> Architecture:
        """Return the architecture with three classes."""
        backbone = {"model": self.model, "options": self.options, "image_size": self.image_size}
        return architecture(backbone, CLASSES, 3)


@dataclass
class Life:
    """What a model has been through.

    Attributes
    ----------
    refused
        The sentence with which finecal refuses the model; empty if it takes it.
    recipes
        By recipe, the sentence with which it refuses the model; empty if it trains.
    failed, resumed
        Recipes that fail, and those that end otherwise after an interruption.
    finite
        Whether all that was trained is.
    files, onnx
        What is wrong with saved and exported files, and with ONNX; empty if nothing is, None if it was not tried.
    """

    refused: str = ""
    recipes: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    finite: bool = True
    files: str = ""
    onnx: str | None = None


def families() -> list[Family]:
    """Read the list of families."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return [
            Family(row["family"], row["model"], int(row["image_size"]), json.loads(row["options"] or "{}"))
            for row in csv.DictReader(file)
        ]


def models_of_timm() -> dict[str, list[str]]:
    """Return the names of all models by the module that defines them; those of finecal are none of timm's."""
    found: dict[str, list[str]] = {}
    for name in timm.list_models():
        if timm.models.model_entrypoint(name).__module__.startswith("timm."):
            found.setdefault(_registry._model_to_module[name], []).append(name)
    return found


def live(family: Family, recipes: Iterable[str], *, onnx: bool = False) -> Life:
    """Take a model through everything that a run does with it.

    Parameters
    ----------
    recipes
        The recipes that train it. Those in `RESUMED` are resumed after the first of two steps; the result must be the
        same to the bit. What `full` has trained is saved, loaded and exported.
    onnx
        Whether it is written as ONNX, too.
    """
    life = _live(family, recipes, onnx=onnx, settled=False)
    return life if life.finite else _live(family, recipes, onnx=onnx, settled=True)


def _live(family: Family, recipes: Iterable[str], *, onnx: bool, settled: bool) -> Life:
    life, description = Life(), family.describe()
    torch.manual_seed(0)
    try:
        with _quiet():
            start = place_model(build(description, weights="random"), CPU)
            check_plain_head(start, description)
            if settled:
                _settle(start, description)
    except UserError as error:
        life.refused = error.what
        return life
    trained = start
    with tempfile.TemporaryDirectory() as folder, _quiet():
        for name in recipes:
            try:
                _recipe(name).check(start)
            except UserError as error:
                life.recipes[name] = error.what
                continue
            try:
                model, same = _train(start, description, name, Path(folder))
            except (UserError, RuntimeError) as error:
                life.failed.append(f"{name} ({str(error).splitlines()[0]})")
                life.finite &= "the loss of step" not in str(error)
                continue
            life.recipes[name] = ""
            life.resumed += [] if same else [name]
            life.finite &= all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values())
            trained = model if name == "full" else trained
        trained = trained.eval()
        images = torch.randn(2, 3, family.image_size, family.image_size, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            wanted = trained(images)
        life.finite &= bool(torch.isfinite(wanted).all())
        life.files = _write_and_read(trained, description, images, wanted, Path(folder))
        if onnx:
            life.onnx = _write_onnx(trained, description, images, wanted, Path(folder))
    return life


@torch.no_grad()
def _settle(model: nn.Module, description: Architecture) -> None:
    """Set batch statistics to those of random images, as a trained model has some that fit its weights.

    timm's initial ones, mean 0 and variance 1, fit nothing: where recipes hold them, the values of a deep network with
    random weights grow from layer to layer until they are not finite.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    was_training = model.training
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    side = description.image_size
    model.train()(torch.randn(32, 3, side, side, generator=torch.Generator().manual_seed(2)))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


class _KeptState(StateFile):
    """The state of a training after its first step, and after no other; none for recipes that are not resumed."""

    def is_due(self) -> bool:
        return self.path.stem in RESUMED and not self.path.exists()

    def save(self, state: dict[str, Any]) -> None:
        if self.is_due():
            super().save(state)


def _train(start: nn.Module, description: Architecture, name: str, folder: Path) -> tuple[nn.Module, bool]:
    """Train a copy of a model; return it and whether one that is resumed after the first step is the same."""
    training = TRAINING.model_copy(update={"steps_per_epoch": 2}) if name in RESUMED else TRAINING
    path = folder / f"{name}.pt"

    def run() -> nn.Module:
        model, recipe = copy.deepcopy(start), _recipe(name)
        task = TrainingTask(model, description, _data(description), recipe, training, FINE_TUNING, ("family", name))
        TrainingRun(task, _KeptState(path, {}, 0), lambda model: {}).run()
        return model

    model = run()
    again = run().state_dict() if name in RESUMED else model.state_dict()
    path.unlink(missing_ok=True)
    return model, all(torch.equal(tensor, again[key]) for key, tensor in model.state_dict().items())


def _recipe(name: str) -> BaseRecipe[Any]:
    made: BaseRecipe[Any] = registry.load("recipe", name).Recipe(
        plugin_options("recipe", name, OPTIONS.get(name, {}))
    )  # fmt: skip
    return made


def _data(description: Architecture) -> TrainingData:
    """Return four images of two classes."""
    side = description.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    return TrainingData.from_arrays(pixels, np.array([0, 1, 0, 1], dtype=np.int32), np.ones(4, dtype=bool), CPU)


def _write_and_read(
    model: nn.Module, description: Architecture, images: Tensor, wanted: Tensor, folder: Path
) -> str:  # fmt: skip
    """Save, load and export a model; return what goes wrong."""
    if not bool(wanted.isfinite().all()):
        return "logits are not finite"
    try:
        save_model(folder / "model.safetensors", model, description, provenance={})
        loaded, _ = load_model(folder / "model.safetensors")
        form = {"kind": "affine", "scale": np.ones(3), "shift": np.zeros(3), "fine_tuning": FINE_TUNING}
        write_model(folder / "exported", copy.deepcopy(loaded), description, form, None)
        others = {"loaded": loaded.eval(), "exported": load_exported(folder / "exported")}
    except UserError as error:
        return error.what
    with torch.no_grad():
        return "; ".join(name for name, other in others.items() if not _close(other(images), wanted))


def _write_onnx(
    model: nn.Module, description: Architecture, images: Tensor, wanted: Tensor, folder: Path
) -> str:  # fmt: skip
    """Write a model as ONNX and run it; return what goes wrong."""
    path = folder / "model.onnx"
    try:
        with torch.no_grad():
            write_onnx(path, model, description)
    except UserError as error:
        return error.what
    found = torch.from_numpy(run_onnx(path, images.numpy()))
    return "" if _close(found, wanted) else f"logits differ by {float((found - wanted).abs().max()):.1g}"


def _close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) <= TOLERANCE * max(1.0, float(other.abs().max()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what trainings and exporters print to themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
