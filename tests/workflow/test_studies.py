"""Every built-in study in its size for tests, from images to the report."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import SETTINGS, Project, one_paragraph

from finecal import paths, registry
from finecal.config.extends import study_names
from finecal.config.groups import PAPER
from finecal.plan import axes
from finecal.plan.network import needs_network
from finecal.plan.plan import Plan

SMALL = [name for name in study_names() if name.startswith("small/")]
# Those of public data sets run in test_real_data.py, on miniatures.
LOCAL = [name for name in SMALL if not needs_network(Plan([name]))]
STUDIES = [name for name in study_names() if "/" not in name]
# Figure or table → the study that shows it.
OF_AXIS = {"class_size": "class_size", "optimizers": "optimisers", "heads": "heads", "backbones": "backbones"}


@pytest.fixture
def folder(source: Path, tmp_path: Path) -> Project:
    """An empty folder with settings only."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(SETTINGS))
    return Project(tmp_path, source)


def test_every_study_has_a_size_for_tests() -> None:
    assert {name.removeprefix("small/") for name in SMALL} == set(STUDIES)


@pytest.mark.parametrize("study", STUDIES)
def test_the_small_study_shows_what_the_large_one_does(study: str) -> None:
    assert Plan([f"small/{study}"]).axes() == Plan([study]).axes()


@pytest.mark.parametrize(("figure", "study"), OF_AXIS.items())
def test_a_figure_without_its_axis_names_the_study(folder: Project, figure: str, study: str) -> None:
    said = folder.dry_run(f"results/figures/{figure}.svg", "--config", "studies=digits", status=None)
    one_paragraph(said, f"the figure '{figure}' compares {axes.MEANING[axes.axis('figure', figure) or '']}", study)
    drawn = folder.planned("--config", f"studies=small/{study}")["figure"]
    assert f"results/figures/{figure}.svg" in drawn


def test_the_paper_whatever_is_selected(folder: Project) -> None:
    planned = folder.planned("reproduce_paper", "--config", "studies=digits")
    assert "resources/office_home/Art.tgz" in planned["download"]
    assert {"results/toy/images/source.parquet", "results/imagenet_r/images/r.parquet"} <= planned["prepare"]
    assert not any("/digits/" in file for files in planned.values() for file in files)


def test_the_paper_is_the_whole_paper() -> None:
    """The axes of its results: T1 and F4 to A5."""
    plan = Plan([PAPER])
    of: dict[str, dict[str, set[str]]] = {}
    for run in plan.trainings:
        for coordinate, value in run.columns().items():
            of.setdefault(run.dataset, {}).setdefault(coordinate, set()).add(str(value))
    office_home, r, s = (of[name] for name in ("office_home", "imagenet_r", "imagenet_s"))
    vtab = [found for name, found in of.items() if plan.options("prepare", name)["source"] == "vtab"]
    assert len(vtab) == 9
    for main in (office_home, r, s, *vtab):  # with the upper bound, and the earlier state of the art
        assert {"full", "lolsgd"} <= main["recipe"]
        assert paths.ALL_CLASSES in main["split"]
    assert office_home["task"] == {"Ar-Cl", "Ar-Pr", "Ar-Rw", "Rw-Ar", "Rw-Cl", "Rw-Pr"}
    assert {"random_1_seed0", "clustered_64_seed2"} <= office_home["split"]
    for also in (office_home, r, s):
        assert {"resnet50", "resnet50_cosine"} <= also["backbone"]
        assert {"frozen_classifier", "linear_probe"} <= also["recipe"]
    assert {"vit", "swin", "clip"} <= office_home["backbone"]
    assert sum("clip" in found["backbone"] for found in vtab) == 8
    optimisers = {name.partition("_lr")[0] for name in office_home["recipe"] if "_lr" in name}
    assert optimisers == {"sgd", "adam", "adabelief", "adadelta", "adagrad", "rmsprop"}
    assert {"iwildcam", "toy"} <= set(of)
    assert plan.axes() == set(axes.MEANING)


@pytest.mark.slow
def test_all_small_studies_run_together(folder: Project) -> None:
    """They share what they have in common, and the page shows the figures of all axes.

    Asked for their numbers alone, and then for all that is made of them, which trains nothing again.
    """
    everything = ("--cores", "2", "--config", f"studies=[{','.join(LOCAL)}]")
    folder.snakemake("results/tables/metrics.parquet", *everything)
    assert not folder.path("results/figures").exists()
    assert not re.search(r"rule (pretrain|finetune)_\w+:", folder.snakemake(*everything))
    plan = Plan(LOCAL)
    assert plan.axes() == set(axes.MEANING)
    coordinates = ["dataset", "task", "backbone", "recipe", "split", "seed"]
    metrics = pq.read_table(folder.path("results/tables/metrics.parquet"), columns=coordinates)
    assert {tuple(row.values()) for row in metrics.to_pylist()} == {tuple(run.columns().values()) for run in plan.runs}
    runs = pq.read_table(folder.path("results/tables/runs.parquet"))
    assert set(runs["head"].to_pylist()) == {"linear", "cosine"}
    assert set(runs["split_kind"].to_pylist()) == {"random", "clustered", "classes"}
    page = folder.path("results/report.html").read_text()
    for figure in registry.names("figure"):
        assert f'id="figure-{figure}"' in page
