"""What holds for every recipe: it resumes bit by bit, ends as an ordinary checkpoint, and takes hostile data."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipe_runs import (
    CLASSES,
    DESCRIPTIONS,
    FINE_TUNING,
    TRAINING,
    batch,
    context,
    one_thread,  # noqa: F401
    pretrained,
    recipe_of,
    trained,
)
from torch import Tensor, nn

from finecal import registry
from finecal.models.build import head
from finecal.models.files import load_model, save_model
from finecal.recipes import BaseRecipe

RECIPES = registry.names("recipe")


class StoppedError(Exception):
    pass


def stop_at(recipe: BaseRecipe[Any], step: int) -> BaseRecipe[Any]:
    """The process dies within this step."""
    whole = recipe.before_step

    def before_step(model: nn.Module, number: int) -> None:
        whole(model, number)
        if number == step:
            raise StoppedError

    recipe.before_step = before_step  # type: ignore[method-assign]
    return recipe


def norms(model: nn.Module) -> dict[str, float]:
    assert not model.training
    return {"norm": float(head(model).weight.detach().double().norm())}


# With these options a recipe does something else.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("balanced_softmax", {"rank": 2, "smoothing": 1.0}),
    ("linear_probe", {"augment": True, "statistics": "follow"}),
]


@pytest.mark.parametrize(("name", "options"), [*((name, {}) for name in RECIPES), *VARIANTS])
def test_taken_up_again_and_again_it_is_the_same(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Dead in every step, each time by a new process; the file and its head are those of one that never died."""
    model, history = trained(recipe_of(name, **options), tmp_path / "whole.pt", observe=norms)
    steps = int(history[-1]["step"])
    for step in range(1, steps):
        with pytest.raises(StoppedError):
            trained(stop_at(recipe_of(name, **options), step), tmp_path / "state.pt", observe=norms)
        torch.rand(step)
    again, same = trained(recipe_of(name, **options), tmp_path / "state.pt", observe=norms)
    assert list(model.state_dict()) == list(again.state_dict())
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    for row, other in zip(history, same, strict=True):
        assert {k: repr(v) for k, v in row.items() if k != "seconds"} == {
            k: repr(v) for k, v in other.items() if k != "seconds"
        }
    assert history[-1]["norm"] == pytest.approx(norms(again.eval())["norm"], abs=1e-6)


@pytest.mark.parametrize("name", RECIPES)
def test_one_recipe_trains_several_models(name: str, tmp_path: Path) -> None:
    """As for pseudo-splits: nothing of the first training is left in the second."""
    recipe = recipe_of(name)
    one, _ = trained(recipe, tmp_path / "one.pt")
    two, _ = trained(recipe, tmp_path / "two.pt")
    assert all(torch.equal(value, two.state_dict()[key]) for key, value in one.state_dict().items())
    assert any(not torch.equal(value, two.state_dict()[key]) for key, value in pretrained().state_dict().items())


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_the_result_is_an_ordinary_checkpoint(name: str, kind: str, tmp_path: Path) -> None:
    model, _ = trained(recipe_of(name), tmp_path / "state.pt", head=kind)
    save_model(tmp_path / "model.safetensors", model, DESCRIPTIONS[kind], provenance={})
    loaded, found = load_model(tmp_path / "model.safetensors")
    assert found == DESCRIPTIONS[kind]
    assert set(loaded.state_dict()) == set(pretrained(kind).state_dict())
    images, _ = batch()
    with torch.no_grad():
        assert torch.equal(loaded.eval()(images), model.eval()(images))
        assert torch.equal(loaded.train()(images), model.train()(images))  # nothing is left that acts in training


ALL = np.ones(len(CLASSES), dtype=bool)
HOSTILE = {
    "one class in S": (np.zeros(7, dtype=np.int32), np.arange(4) == 0),
    "one absent class": (np.array([0, 1, 2] * 3, dtype=np.int32), np.arange(4) < 3),
    "S is all of Y": (np.array([0, 1, 2, 3] * 2, dtype=np.int32), ALL),
    "a class of S without samples": (np.zeros(8, dtype=np.int32), FINE_TUNING),
    "two samples": (np.array([0, 2], dtype=np.int32), FINE_TUNING),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_data(name: str, case: str, tmp_path: Path) -> None:
    labels, fine_tuning = HOSTILE[case]
    model, history = trained(
        recipe_of(name), tmp_path / "state.pt", labels=labels, fine_tuning=fine_tuning,
        training=TRAINING.model_copy(update={"epochs": 1}),
    )  # fmt: skip
    assert all(np.isfinite(row["loss"]) for row in history[1:])
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_of_one_class_has_a_finite_loss_and_gradient(name: str) -> None:
    model, recipe = pretrained(), recipe_of(name)
    recipe.prepare(model, context())
    model.train()
    recipe.before_step(model, 0)
    images, _ = batch(5)
    loss = recipe.loss(model, images, torch.full((5,), 2), label_smoothing=0.0)
    assert loss.shape == ()
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in model.parameters() if p.requires_grad and p.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


# ------------------------------------------------------------------ what changes in the file

BATCH_NORM = ("running_mean", "running_var", "num_batches_tracked")


@cache
def kind_of(key: str) -> str:
    """head, bias, norm (scale), statistics, or weight."""
    last = key.rpartition(".")[2]
    if key.startswith("fc."):
        return f"head {last}"
    if last in BATCH_NORM:
        return "statistics"
    of_norm = isinstance(pretrained().get_submodule(key.rpartition(".")[0]), nn.BatchNorm2d)
    return f"norm {last}" if of_norm else last


EVERYTHING = {"weight", "norm weight", "norm bias", "statistics", "head weight", "head bias"}
CHANGED = {
    "linear_probe": {"head weight", "head bias"},
    "frozen_classifier": {"weight", "norm weight", "norm bias", "statistics"},
    "bitfit": {"norm bias", "head bias"},
    "norm_tuning": {"norm weight", "norm bias", "statistics"},
    "frozen_bn": {"weight", "head weight", "head bias"},
    "lora": {"weight", "head weight", "head bias"},
}
WITH_OPTIONS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "balanced_softmax": ({"rank": 2}, {"weight", "head weight", "head bias"}),
    "linear_probe": ({"augment": True, "statistics": "follow"}, {"statistics", "head weight", "head bias"}),
    "bitfit": ({"head": True}, {"norm bias", "head bias", "head weight"}),
    "norm_tuning": ({"head": True}, {"norm weight", "norm bias", "statistics", "head bias", "head weight"}),
    "lora": ({"head": "low_rank"}, {"weight", "head weight"}),
}


def changes(recipe: BaseRecipe[Any], tmp_path: Path) -> dict[str, bool]:
    before: dict[str, Tensor] = pretrained().state_dict()
    after = trained(recipe, tmp_path / "state.pt")[0].state_dict()
    return {key: not torch.equal(value, after[key]) for key, value in before.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_exactly_the_recipe_s_tensors_change(name: str, tmp_path: Path) -> None:
    wanted = CHANGED.get(name, EVERYTHING)
    for key, changed in changes(recipe_of(name), tmp_path).items():
        assert changed == (kind_of(key) in wanted), key


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_what_an_option_trains_beside_it(name: str, tmp_path: Path) -> None:
    options, wanted = WITH_OPTIONS[name]
    for key, changed in changes(recipe_of(name, **options), tmp_path).items():
        assert changed == (kind_of(key) in wanted), key


def test_lora_with_a_frozen_head(tmp_path: Path) -> None:
    found = changes(recipe_of("lora", head="frozen"), tmp_path)
    assert {kind_of(key) for key, changed in found.items() if changed} == {"weight"}
