"""Recipes of several trainings: soups, local copies that are averaged, a probe and then everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipe_runs import TRAINING, context, one_thread, pretrained, recipe_of, trained  # noqa: F401
from torch import Tensor, nn

from finecal.recipes import BaseRecipe

Weights = dict[str, Tensor]


def weights_of(model: nn.Module) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def watch(recipe: BaseRecipe[Any], seen: Callable[[nn.Module, int], None], *, before: bool) -> BaseRecipe[Any]:
    """Look at the model after the recipe's own hook."""
    name = "before_step" if before else "after_step"
    own = getattr(recipe, name)

    def hook(model: nn.Module, step: int) -> None:
        own(model, step)
        seen(model, step)

    setattr(recipe, name, hook)
    return recipe


def test_a_soup_is_the_mean_of_members_that_start_at_the_pretrained_model(tmp_path: Path) -> None:
    members: list[Weights] = []
    starts: dict[int, Weights] = {}
    rates: list[float] = []
    recipe = recipe_of("soup", members=3)
    own = recipe.after_step

    def after_step(model: nn.Module, step: int) -> None:
        if (step + 1) % 6 == 0:
            members.append(weights_of(model))
        own(model, step)

    recipe.after_step = after_step  # type: ignore[method-assign]
    watch(recipe, lambda model, step: starts.update({step: weights_of(model)}), before=True)
    model, history = trained(recipe, tmp_path / "state.pt")
    rates += [row["lr"] for row in history[1:]]
    assert len(members) == 3
    assert [row["epoch"] for row in history] == list(range(7))
    assert rates[:2] == rates[2:4] == rates[4:]  # each has the whole schedule
    for step in (0, 6, 12):
        assert all(torch.equal(v, starts[step][k]) for k, v in pretrained().state_dict().items())
    assert not torch.equal(members[0]["fc.weight"], members[1]["fc.weight"])
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            mean = np.mean([m[key].double().numpy() for m in members], axis=0)
            np.testing.assert_allclose(value.numpy(), mean, rtol=1e-6, atol=1e-7)


def test_the_first_member_of_a_soup_is_full_fine_tuning(tmp_path: Path) -> None:
    found: dict[int, Weights] = {}
    recipe = watch(recipe_of("soup", members=2), lambda m, step: found.update({step: weights_of(m)}), before=False)
    trained(recipe, tmp_path / "soup.pt")
    full, _ = trained(recipe_of("full"), tmp_path / "full.pt")
    assert all(torch.equal(value, found[5][key]) for key, value in full.state_dict().items())


def test_the_copies_of_lolsgd_start_together_and_are_averaged(tmp_path: Path) -> None:
    """12 steps, 2 copies with 3 steps each: 2 rounds."""
    starts: dict[int, Weights] = {}
    ends: dict[int, Weights] = {}
    recipe = recipe_of("lolsgd", copies=2, local_steps=3)
    own = recipe.after_step

    def after_step(model: nn.Module, step: int) -> None:
        ends[step] = weights_of(model)
        own(model, step)

    recipe.after_step = after_step  # type: ignore[method-assign]
    watch(recipe, lambda model, step: starts.update({step: weights_of(model)}), before=True)
    model, _ = trained(recipe, tmp_path / "state.pt", training=TRAINING.model_copy(update={"epochs": 4}))
    assert [step for step in range(12) if recipe.restarts(step)] == [0, 3, 6, 9]
    for key, value in model.state_dict().items():
        assert torch.equal(starts[0][key], starts[3][key])
        assert torch.equal(starts[6][key], starts[9][key])
        if value.is_floating_point():
            for result, (one, two) in ((starts[6], (2, 5)), (model.state_dict(), (8, 11))):
                torch.testing.assert_close(result[key], (ends[one][key] + ends[two][key]) / 2)
    assert not torch.equal(starts[0]["fc.weight"], starts[6]["fc.weight"])


@pytest.mark.parametrize("steps", [1, 2, 7, 40, 41])
def test_every_step_of_lolsgd_belongs_to_one_copy_of_a_complete_round(steps: int) -> None:
    recipe = recipe_of("lolsgd", copies=3, local_steps=4)
    recipe.prepare(pretrained(), context(steps=steps))
    begins = [step for step in range(steps) if recipe.restarts(step)]
    lengths = np.diff([*begins, steps])
    assert begins[0] == 0
    assert len(begins) % min(3, steps) == 0
    assert max(lengths) - min(lengths) <= 1
    assert steps < 24 or min(lengths) >= 4


def test_a_copy_sees_its_own_part_of_s() -> None:
    labels = np.repeat(np.arange(8, dtype=np.int32), 5)
    recipe = recipe_of("lolsgd", copies=4, local_steps=10, class_fraction=0.5)
    recipe.prepare(pretrained(), context(np.ones(8, dtype=bool), labels, steps=40))
    parts = []
    for copy_number in range(4):
        steps = range(10 * copy_number, 10 * copy_number + 10)
        chosen = [recipe.batch(step, np.arange(12)) for step in steps]
        assert all(len(set(positions)) == 12 for positions in chosen)
        assert all(np.array_equal(recipe.batch(step, np.arange(12)), c) for step, c in zip(steps, chosen, strict=True))
        parts.append(frozenset(labels[np.concatenate(chosen)].tolist()))
        assert len(parts[-1]) == 4
    assert len(set(parts)) > 1
    assert len(recipe.batch(0, np.arange(33))) == 33  # more than there are: some twice


def test_lp_ft_is_a_probe_and_then_everything(tmp_path: Path) -> None:
    found: dict[int, Weights] = {}
    recipe = watch(recipe_of("lp_ft"), lambda model, step: found.update({step: weights_of(model)}), before=False)
    _, history = trained(recipe, tmp_path / "lp_ft.pt")
    probe, probes = trained(recipe_of("linear_probe"), tmp_path / "probe.pt")
    assert all(torch.equal(value, found[5][key]) for key, value in probe.state_dict().items())
    moved = {key for key, value in probe.state_dict().items() if not torch.equal(value, found[6][key])}
    assert moved == set(probe.state_dict())
    assert [row["lr"] for row in history[3:]] == [row["lr"] for row in probes[1:]]
