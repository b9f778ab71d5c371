"""One entry that stands for many: recipes from lists of training options, splits from lists of sizes and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from finecal.config import Study, Training
from finecal.config.load import parse_study
from finecal.errors import UserError, unknown
from finecal.plan.plan import Plan

GRID = {"recipe": "full", "grid": {"optimizer": ["sgd", "adam"], "lr": [0.1, 1e-5], "weight_decay": [0, 5e-4]}}


def study(**changes: Any) -> Study:
    return parse_study(yaml.safe_dump({"extends": "digits", **changes}, sort_keys=False), where="my.yaml")


def error_of(**changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        study(**changes)
    return str(caught.value)


def test_a_grid_of_recipes_is_every_combination() -> None:
    found = study(recipes={"grid": GRID, "full": None})
    assert list(found.recipes) == [
        "grid_sgd_lr0.1_wd0",
        "grid_sgd_lr0.1_wd0.0005",
        "grid_sgd_lr0.00001_wd0",
        "grid_sgd_lr0.00001_wd0.0005",
        "grid_adam_lr0.1_wd0",
        "grid_adam_lr0.1_wd0.0005",
        "grid_adam_lr0.00001_wd0",
        "grid_adam_lr0.00001_wd0.0005",
        "full",
    ]
    training = found.training_of("grid_adam_lr0.1_wd0.0005")
    assert (training.optimizer, training.lr, training.weight_decay) == ("adam", 0.1, 0.0005)
    assert training.epochs == found.training.epochs
    assert found.recipes["grid_adam_lr0.1_wd0"].recipe == "full"
    resolved = found.model_dump(mode="json")["recipes"]["grid_adam_lr0.1_wd0"]
    assert resolved == {
        "recipe": "full",
        "options": {},
        "training": {"optimizer": "adam", "lr": 0.1, "weight_decay": 0},
        "weights": None,
        "class_names": None,
        "at_chance": False,
    }


def test_a_grid_takes_the_recipe_from_its_name() -> None:
    found = study(recipes={"full": {"grid": {"epochs": [1, 2]}, "training": {"lr": 0.5}}})
    assert {name: (use.recipe, use.training) for name, use in found.recipes.items()} == {
        "full_epochs1": ("full", {"lr": 0.5, "epochs": 1}),
        "full_epochs2": ("full", {"lr": 0.5, "epochs": 2}),
    }


def test_the_plan_has_a_run_for_each(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"extends": "digits", "recipes": {"grid": GRID}, "seeds": [0]}, sort_keys=False))
    plan = Plan([str(file)])
    assert plan.axes() == {"training"}
    assert len({run.recipe for run in plan.runs}) == 8
    spec = plan.options("finetune", "digits", "test_resnet", "grid_adam_lr0.1_wd0")
    assert (spec["recipe"], spec["training"]["optimizer"], spec["training"]["lr"]) == ("full", "adam", 0.1)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": (
        {"grid": {"learning_rate": [1]}},
        f"recipes.full.grid: {unknown('key', 'learning_rate', Training.model_fields)}",
    ),
    "empty list": ({"grid": {"lr": []}}, "recipes.full.grid: {'lr': []} is not allowed. The list of lr is empty."),
    "twice": (
        {"grid": {"lr": [0.1, 1e-1]}},
        "recipes.full.grid: {'lr': [0.1, 0.1]} is not allowed. '0.1' is given more than once.",
    ),
    "no list": ({"grid": {"lr": 0.1}}, "recipes.full.grid.lr: 0.1 is not allowed. Input should be a list."),
    "in both": (
        {"grid": {"lr": [0.1]}, "training": {"lr": 0.2}},
        "recipes.full: {'grid': {'lr': [0.1]}, 'training': {'lr': 0.2}} is not allowed. "
        "`lr` stands in `training` and in `grid`.",
    ),
    "no name": (
        {"grid": {"lr": [-0.1]}},
        "recipes.full.grid: {'lr': [-0.1]} is not allowed. '-0.1' cannot be a part of a folder name.",
    ),
    "wrong value": (
        {"grid": {"lr": [0]}},
        "recipes.full_lr0.training.lr: 0 is not allowed. Input should be greater than 0.",
    ),
    "unknown optimiser": (
        {"grid": {"optimizer": ["sgd", "sdg"]}},
        "recipes.full_sdg.training.optimizer: unknown optimiser 'sdg'.",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_in_a_grid(case: str) -> None:
    use, message = MISTAKES[case]
    assert error_of(recipes={"full": use}).startswith(f"my.yaml: {message}")


def test_sizes_and_seeds_are_splits() -> None:
    found = study(
        splits={
            "random": {"kind": "random", "sizes": [2, 5]},
            "clustered": {"kind": "clustered", "sizes": [3], "seeds": [0, 4]},
            "half": {"kind": "random", "fraction": 0.5, "seeds": [1]},
        }
    )
    assert {name: (split.kind, split.count, split.seed) for name, split in found.splits.items()} == {  # type: ignore[union-attr]
        "random_2": ("random", 2, 0),
        "random_5": ("random", 5, 0),
        "clustered_3_seed0": ("clustered", 3, 0),
        "clustered_3_seed4": ("clustered", 3, 4),
        "half_seed1": ("random", None, 1),
    }


SPLITS: dict[str, tuple[dict[str, Any], str]] = {
    "size and sizes": (
        {"a": {"kind": "random", "count": 3, "sizes": [2]}},
        "splits.a: {'kind': 'random', 'count': 3, 'sizes': [2]} is not allowed. "
        "Give one of `fraction`, `count` and `sizes`.",
    ),
    "seed and seeds": (
        {"a": {"kind": "random", "count": 3, "seed": 1, "seeds": [2]}},
        "splits.a: {'kind': 'random', 'count': 3, 'seed': 1, 'seeds': [2]} is not allowed. "
        "Give either `seed` or `seeds`.",
    ),
    "too many": (
        {"a": {"kind": "random", "sizes": [9, 10]}},
        "splits.a_10: this split takes all classes for fine-tuning (10 of 10).",
    ),
    "two entries of one name": (
        {"a": {"kind": "random", "sizes": [3]}, "a_3": {"kind": "random", "count": 4}},
        "splits: {'a': {'kind': 'random', 'sizes': [3]}, 'a_3': {'kind': 'random', 'count': 4}} is not allowed. "
        "'a_3' is given more than once.",
    ),
    "source that is none": (
        {"a": {"kind": "clustered", "count": 3, "source": "printd"}},
        "splits.a: unknown source 'printd'. Known, closest first: printed.",
    ),
    "backbone that is none": (
        {"a": {"kind": "clustered", "count": 3, "backbone": "resnet18"}},
        "splits.a: unknown backbone 'resnet18'. Known, closest first: test_resnet.",
    ),
}


@pytest.mark.parametrize("case", SPLITS)
def test_mistakes_in_splits(case: str) -> None:
    splits, message = SPLITS[case]
    assert error_of(splits=splits, calibrators=["none"]).startswith(f"my.yaml: {message}")


def test_a_clustered_split_needs_one_model() -> None:
    splits = {"a": {"kind": "clustered", "count": 3}}
    assert error_of(splits=splits, backbones=["test_resnet", "test_vit"]) == (
        "my.yaml: splits.a.backbone: this key is missing. The study has test_resnet, test_vit."
    )
    tasks = {"digits": ["printed-handwritten", "handwritten-printed"]}
    assert error_of(splits=splits, tasks=tasks) == (
        "my.yaml: splits.a.source: this key is missing. The study has printed, handwritten."
    )
