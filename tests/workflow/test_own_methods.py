"""A calibrator and a recipe in the user's own folder: found, checked, listed and tracked like built-in ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import REPOSITORY, Project, copy_sources, jobs, one_paragraph
from plugin_packages import write_package
from test_reruns import CALIBRATED, SCORED

from finecal import registry

PAGE = REPOSITORY / "docs" / "own_methods.md"


def example() -> str:
    """The calibrator of the documentation."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def own(project: Project) -> Project:
    """The tiny study with a calibrator of the user's own, whose results are there."""
    project.path("my_methods").mkdir()
    project.path("my_methods/half_gap.py").write_text(example())
    with project.study() as study:
        study["calibrators"] = {name: {} for name in study["calibrators"]}
        study["calibrators"]["half_gap"] = {"calibrator": "my_methods/half_gap.py", "options": {"part": 0.5}}
    return project


def test_it_is_planned_as_a_built_in_one(own: Project) -> None:
    assert own.planned() == CALIBRATED | SCORED


def test_it_is_run_and_an_edit_reruns_its_runs_alone(own: Project) -> None:
    file = "results/digits/printed-handwritten/test_resnet/full/half0/seed0/metrics.parquet"
    own.forked(*own.snakemake_command("--cores", "1", file))
    assert own.planned(file) == {}
    own.path("my_methods").rename(own.path("elsewhere"))
    with own.study() as study:
        study["calibrators"]["half_gap"]["calibrator"] = "elsewhere/half_gap.py"
    assert own.planned(file) == {}
    with own.path("elsewhere/half_gap.py").open("a") as text:
        text.write("\nCHANGED = True\n")  # a comment would change nothing
    assert own.planned(file) == jobs(calibrate=["half0/seed0"], evaluate=["half0/seed0"])


def test_it_is_listed(own: Project) -> None:
    lines = own.forked("finecal", "list", "calibrators").splitlines()
    assert [line.split()[0] for line in lines] == [*registry.names("calibrator"), "my_methods/half_gap.py"]
    assert lines[-1].endswith("  Half of the average logit gap.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file 'my_methods/half_gap.py'"),
        ("x = 1\n", "this file defines no Options, no Calibrator, no READS. A calibrator needs it."),
        ("import nowhere\n", "ModuleNotFoundError: No module named 'nowhere' (my_methods/half_gap.py:1)"),
        (example().replace("train_fine_tuning", "train", 1), "unknown name in READS 'train'"),
        (example().replace("part:", "share:"), "calibrators.half_gap.options: unknown key 'part'"),
    ],
)
def test_what_is_wrong_is_said_before_any_job(own: Project, content: str | None, message: str) -> None:
    file = own.path("my_methods/half_gap.py")
    file.unlink() if content is None else file.write_text(content)
    one_paragraph(own.dry_run(status=2), message, "calibrators.half_gap")


def test_a_recipe_of_ones_own_is_tracked(project: Project) -> None:
    project.path("mine.py").write_text((project.source / "workflow/finecal/recipes/full.py").read_text("utf-8"))
    with project.study() as study:
        study["recipes"] = {"full": {"recipe": "mine.py"}}
    target = "results/digits/printed-handwritten/test_resnet/full/half0/seed0/model.safetensors"
    assert project.planned(target) == jobs(finetune=["half0/seed0"])
    project.forked(*project.snakemake_command("--cores", "1", target))
    assert project.planned(target) == {}
    with project.path("mine.py").open("a") as text:
        text.write("\nCHANGED = True\n")  # a comment would change nothing
    assert project.planned(target) == jobs(finetune=["half0/seed0"])


def test_a_calibrator_of_an_installed_package(project: Project, tmp_path: Path) -> None:
    """Found by its entry point, run, and tracked by its file; its folder is on the path of all jobs."""
    project = Project(project.folder, copy_sources(tmp_path / "sources", project.source))
    folder = project.source / "workflow"
    points = {"calibrators": {"half_gap": "finecal_extra.half_gap"}}
    write_package(folder, "finecal-extra", points, half_gap=example())
    *_, line = project.run("finecal", "list", "calibrators").splitlines()
    assert line.split(maxsplit=1) == ["half_gap", "Half of the average logit gap. (package finecal-extra)"]
    with project.study() as study:
        study["calibrators"] = [*study["calibrators"], "half_gap"]
    assert project.planned() == CALIBRATED | SCORED
    file = "results/digits/printed-handwritten/test_resnet/full/half0/seed0/metrics.parquet"
    project.run(*project.snakemake_command("--cores", "1", file))
    assert project.planned(file) == {}
    with (folder / "finecal_extra" / "half_gap.py").open("a") as text:
        text.write("\nCHANGED = True\n")
    assert project.planned(file) == jobs(calibrate=["half0/seed0"], evaluate=["half0/seed0"])
    (folder / "finecal_extra" / "half_gap.py").unlink()
    one_paragraph(project.dry_run(status=2), "of the package 'finecal-extra' leads to no Python file", "half_gap")
