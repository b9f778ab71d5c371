"""What large studies take, against sums by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from finecal.cli.overview import describe_plan
from finecal.datasets import vtab
from finecal.datasets._vtab import TASKS
from finecal.plan.estimate import IMAGES_PER_SECOND, describe, estimate_work
from finecal.plan.plan import Plan

TRAIN, TEST, CLASSES = 24_076, 5_924, 1000
PARAMETERS, WIDTH = 23_508_032, 2048  # a ResNet-50 without its head
STEPS = 50 * 500 * 64  # images in a training as published


def a_plan(folder: Path, **changes: Any) -> Plan:
    least = {
        "extends": "imagenet_r", "recipes": ["full"], "seeds": [0], "oracle_fine_tuning": False,
        "calibrators": ["none"],
    }  # fmt: skip
    (folder / "study.yaml").write_text(yaml.safe_dump({**least, **changes}))
    return Plan([str(folder / "study.yaml")])


def test_one_run_by_hand(tmp_path: Path) -> None:
    work = estimate_work(a_plan(tmp_path))
    assert work.trained == STEPS
    assert work.evaluated == 51 * TEST + TRAIN + TEST  # before the first epoch, after each, and all images at the end
    assert work.models == 4 * 2 * PARAMETERS
    assert work.logits == 4 * (TRAIN + TEST) * (CLASSES + WIDTH)
    assert work.images == (TRAIN + TEST) * 3 * 256 * 256
    assert work.downloads == 2_191_079_936 + 229_752 + 933_413 + 8_088
    assert (work.unknown, work.left_out) == (0, set())
    assert work.gpu_hours(500) == pytest.approx((STEPS + work.evaluated / 3) / 1_800_000)


def test_what_a_backbone_is_shown_is_stored_beside_the_squares(tmp_path: Path) -> None:
    shown = {"mine": {"model": "resnet50", "preprocessing": "timm"}}
    both = estimate_work(a_plan(tmp_path, backbones=shown, image_size=160))
    assert both.images == (TRAIN + TEST) * 3 * (256**2 + 160**2)


def test_pseudo_splits_train_as_often_as_there_are_folds(tmp_path: Path) -> None:
    work = estimate_work(a_plan(tmp_path, calibrators=["none", "pcv"], pseudo_splits={"folds": 4}))
    assert work.trained == 5 * STEPS


def test_seeds_recipes_and_the_upper_bound_add_up(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, recipes=["full", "lp_ft"], seeds=[0, 1], oracle_fine_tuning=True)
    assert estimate_work(plan).trained == 2 * 2 * (1 + 2) * STEPS  # lp_ft trains twice


def test_smaller_images_take_less(tmp_path: Path) -> None:
    assert estimate_work(a_plan(tmp_path, image_size=112)).trained == STEPS / 4


def test_pretraining_counts_where_there_is_one() -> None:
    plan = Plan(["office_home"])
    sources, runs, pseudo = 2, 6 * 2 * 3 * 2, 6 * 2 * 3 * 3  # tasks × recipes × seeds × (with all classes | folds)
    assert estimate_work(plan).trained == (sources + runs + pseudo) * 20 * 500 * 64
    assert estimate_work(plan).unknown == 0


def test_the_overview_says_whose_figure_it_is(tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    text = describe_plan(plan)
    assert (
        f"About 1 GPU-hours at {IMAGES_PER_SECOND:,.0f} images per second (assumed: give yours with --images-per"
        in text
    )
    assert "About 6.5 GB of disk (models 0.2 GB, logits and features 0.4 GB, images 5.9 GB), and downloads" in text
    assert "at 1 images per second (as you say)" in describe_plan(plan, 1)


def test_small_studies_say_nothing() -> None:
    assert describe(Plan(["digits"]), 1) == []


def test_sizes_of_vtabs_tasks() -> None:
    options = vtab.Options(task="dtd")
    assert vtab.sizes("few", options) == (470, 1_880, 47)
    assert vtab.sizes("images", options) == (3_290, 1_880, 47)
    assert vtab.sizes("images", vtab.Options(task="eurosat", test_fraction=0.5)) == (13_400, 13_500, 10)
    assert [vtab.stored_side(vtab.Options(task=task)) for task in ("dtd", "svhn")] == [256, 32]
    assert set(vtab.SIZES) == set(vtab.CLASSES) == set(TASKS)


def test_what_is_not_counted_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        '"""Mine."""\nfrom finecal.datasets.imagenet_r import *\n\n\ndef sizes(domain, options):\n    return None\n'
    )
    plan = a_plan(tmp_path, datasets={"imagenet_r": {"source": str(tmp_path / "mine.py")}})
    assert describe(plan, 1)[-1] == "Not counted, since their sizes are not known: imagenet_r."
