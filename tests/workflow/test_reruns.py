"""What reruns after a change: what depends on it, and nothing else."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
from base64 import urlsafe_b64decode as b64decode
from pathlib import Path

import pytest
from conftest import PRETRAINED, TASK, Jobs, Project, copy_folder, copy_sources, jobs

from finecal import registry
from finecal.paths import AGGREGATED, OF_FIRST_RUNS
from finecal.plan import axes

HALVES = ["half0/seed0", "half1/seed0"]
REPORT = jobs(report=["report"])
CALIBRATED = jobs(calibrate=HALVES, evaluate=HALVES, gamma_draws=HALVES)


def presented(*changed: str) -> Jobs:
    """Return the tables and figures that need one of these aggregated tables, so that they rerun when it changes."""

    def in_need(kind: str) -> list[str]:
        applicable = axes.applicable(kind, frozenset())
        return [name for name in applicable if {*changed} & {*registry.constant(kind, name, "NEEDS")}]

    runs = [table for table in changed if table in AGGREGATED]
    cost = [table for table in changed if table not in AGGREGATED]
    made = jobs(aggregate=runs, cost_table=cost, table=in_need("table"), figure=in_need("figure"))
    return made | REPORT


# What follows when the runs' metrics change but not their trainings.
SCORED = presented("metrics", "calibration", "curve", "gamma_draws")
MADE = [table for table in AGGREGATED if table in axes.aggregated(frozenset())]
ALL_TABLES = presented(*MADE, "cost")
# The same if the first run stays as it is.
FURTHER_TABLES = presented(*(table for table in MADE if table not in OF_FIRST_RUNS), "cost")


def trained(splits: list[str], seeds: list[int]) -> Jobs:
    """Everything of some runs, from fine-tuning to scores."""
    every = [f"{split}/seed{seed}" for split in splits for seed in seeds]
    calibrated = [run for run in every if not run.startswith("all/")]
    return jobs(
        finetune=every,
        extract=every,
        interpolate=calibrated,
        pseudo_splits=calibrated,
        calibrate=calibrated,
        evaluate=calibrated,
        gamma_draws=calibrated,
        update_similarity=calibrated,
    )


FROM_FINETUNING = trained(["half0", "half1", "all"], [0]) | jobs(feature_map=["half0/seed0"]) | ALL_TABLES


class TestNothingChanged:
    def test_same_folder(self, project: Project) -> None:
        assert project.planned() == {}

    def test_without_snakemakes_notes(self, project: Project) -> None:
        shutil.rmtree(project.path(".snakemake"))
        assert project.planned() == {}

    def test_fresh_clone_of_the_sources(self, project: Project, tmp_path: Path) -> None:
        """All source files are new, in another folder, and the old ones are gone."""
        clone = Project(project.folder, copy_sources(tmp_path / "clone", project.source))
        later = time.time() + 60
        for file in clone.source.rglob("*"):
            os.utime(file, (later, later))
        assert clone.planned() == {}

    def test_where_it_runs(self, project: Project) -> None:
        with project.settings() as settings:
            settings.update(device="auto", state_interval=3)
        assert project.planned("--cores", "1") == {}

    def test_finished_without_snakemake(self, project: Project) -> None:
        """As after the death of a Snakemake whose jobs went on: its notes are written from the outputs."""
        notes = project.path(".snakemake/metadata")
        before = {file.name: json.loads(file.read_text()) for file in notes.rglob("*") if file.is_file()}
        shutil.rmtree(notes)
        assert project.planned() == {}
        after = {file.name: json.loads(file.read_text()) for file in notes.rglob("*") if file.is_file()}
        compared = ("params", "endtime", "record_format_version", "incomplete")
        assert after
        for name, note in after.items():
            assert {key: note[key] for key in compared} == {key: before[name][key] for key in compared}
            if note["input"] is not None:
                assert note["input"] == before[name]["input"]
                assert before[name]["input_checksums"].items() <= note["input_checksums"].items()
        tables = [name for name in before if b64decode(name).endswith(b".parquet")]
        assert {*tables} <= {*after}

    def test_study_written_differently(self, project: Project) -> None:
        """Order of keys, defaults spelled out, a list as a mapping."""
        with project.study() as study:
            study["training"] = dict(reversed(study["training"].items()), momentum=0.9)
            study["recipes"] = {"full": {"recipe": "full", "options": {}}}
            study["calibrators"] = list(reversed(study["calibrators"]))
        assert project.planned() == {}


class TestStudyChanged:
    def test_other_seed(self, project: Project) -> None:
        with project.study() as study:
            study["seeds"] = [1]
        assert (
            project.planned()
            == trained(["half0", "half1", "all"], [1]) | jobs(feature_map=["half0/seed1"]) | ALL_TABLES
        )

    def test_further_seed(self, project: Project) -> None:
        with project.study() as study:
            study["seeds"] = [0, 1]
        assert project.planned() == trained(["half0", "half1", "all"], [1]) | FURTHER_TABLES

    def test_option_of_a_recipe(self, project: Project) -> None:
        with project.study() as study:
            study["recipes"] = {"full": {"training": {"epochs": 3}}}
        assert project.planned() == FROM_FINETUNING

    def test_two_values_swapped(self, project: Project) -> None:
        """Snakemake compares the set of values: the same values under other names must still be seen."""
        with project.study() as study:
            training = study["training"]
            training["lr"], training["backbone_lr_scale"] = training["backbone_lr_scale"], training["lr"]
        assert project.planned() == FROM_FINETUNING

    def test_pretraining(self, project: Project) -> None:
        with project.study() as study:
            study["pretraining"]["training"]["lr"] = 0.2
        before = jobs(pretrain=[PRETRAINED], extract_pretrained=[TASK])
        assert project.planned() == before | FROM_FINETUNING

    def test_calibrator_left_out(self, project: Project) -> None:
        with project.study() as study:
            study["calibrators"].remove("temperature")
        assert project.planned() == CALIBRATED | SCORED

    def test_option_of_a_calibrator(self, project: Project) -> None:
        with project.study() as study:
            study["calibrators"] = {name: {} for name in study["calibrators"]}
            study["calibrators"]["temperature"] = {"options": {"largest": 50.0}}
        assert project.planned() == CALIBRATED | SCORED

    def test_pseudo_splits(self, project: Project) -> None:
        with project.study() as study:
            study["pseudo_splits"]["folds"] = 3
        calibrated = jobs(pseudo_splits=HALVES) | CALIBRATED
        assert project.planned() == calibrated | presented("metrics", "calibration", "curve", "gamma_draws", "cost")

    def test_definition_of_a_split(self, project: Project) -> None:
        with project.study() as study:
            study["splits"]["half1"]["seed"] = 2
        assert project.planned() == jobs(split=["half1"]) | trained(["half1"], [0]) | FURTHER_TABLES

    def test_one_result_only(self, project: Project) -> None:
        """If one file is asked for, nothing else is made again."""
        with project.study() as study:
            study["recipes"] = {"full": {"training": {"epochs": 3}}}
        file = "results/digits/printed-handwritten/test_resnet/full/half0/seed0/logits.parquet"
        assert project.planned(file) == jobs(finetune=["half0/seed0"], extract=["half0/seed0"])


class TestNotesMissing:
    """What a result was made with stands in the result: a later change is seen without Snakemake's notes."""

    @pytest.mark.parametrize("notes", ["missing", "of earlier outputs"])
    def test_option_of_the_training(self, project: Project, notes: str) -> None:
        with project.study() as study:
            study["training"]["lr"] = 0.02
        if notes == "missing":
            shutil.rmtree(project.path(".snakemake/metadata"))
        else:  # they have the new option, as if a training with it had been overwritten by one with the old option
            self.note_as_planned(project)
            for file in project.path("results/digits/printed-handwritten/test_resnet/full").rglob("history.parquet"):
                os.utime(file, (time.time(), time.time()))
        planned = project.planned()
        for rule in ("finetune", "pseudo_splits"):
            assert planned[rule] == FROM_FINETUNING[rule]

    @staticmethod
    def note_as_planned(project: Project) -> None:
        code = """
from finecal.plan.code_digests import Identity
from finecal.plan.identities import Identities
from finecal.io.parquet import read_metadata
from finecal.plan.plan import Plan

plan = Plan(["tiny.yaml"])
for run in plan.trainings:
    made = Identity.recorded(read_metadata(run.folder / "history.parquet"))
    print(made, Identities(plan).of_run("finetune", run), sep="|")
"""
        changed = [line.split("|") for line in project.run("python", "-c", code).splitlines()]
        for note in (file for file in project.path(".snakemake/metadata").rglob("*") if file.is_file()):
            text = note.read_text()
            for old, new in changed:
                text = text.replace(old, new)
            note.write_text(text)

    def test_database_of_notes(self, project: Project) -> None:
        project.snakemake("--persistence-backend", "db", "-n")
        with project.study() as study:
            study["training"]["lr"] = 0.02
        assert project.planned("--persistence-backend", "db")["finetune"] == FROM_FINETUNING["finetune"]


class TestCodeChanged:
    @pytest.fixture
    def edited(self, project: Project, tmp_path: Path) -> Project:
        """The project with a source tree of its own, to be edited."""
        edited = Project(project.folder, copy_sources(tmp_path / "edited", project.source))
        imported = edited.run("python", "-c", "import finecal; print(finecal.__file__)")
        assert Path(imported.strip()).is_relative_to(edited.source)
        return edited

    @pytest.mark.parametrize(
        ("file", "rerun"),
        [
            ("calibrators/temperature.py", CALIBRATED | SCORED),
            (
                "metrics/update_similarity.py",
                jobs(update_similarity=HALVES) | presented("update_similarity", "update_similarity_means"),
            ),
            ("figures/curve.py", jobs(figure=["curve"]) | REPORT),
            ("tables/main.py", jobs(table=["main"]) | REPORT),
            ("stages/aggregate.py", presented(*MADE)),
            (
                "training/loop.py",
                jobs(pretrain=[PRETRAINED], extract_pretrained=[TASK]) | FROM_FINETUNING,
            ),
            ("recipes/full.py", jobs(pretrain=[PRETRAINED], extract_pretrained=[TASK]) | FROM_FINETUNING),
            (
                "stages/finetune.py",  # the pseudo-splits have a stage of their own
                {rule: outputs for rule, outputs in FROM_FINETUNING.items() if rule != "pseudo_splits"},
            ),
            ("cli/parser.py", {}),
            ("plan/plan.py", {}),
        ],
    )
    def test_one_file(self, edited: Project, file: str, rerun: Jobs) -> None:
        with (edited.source / "workflow" / "finecal" / file).open("a") as text:
            text.write("\nCHANGED = True\n")
        assert edited.planned() == rerun

    @pytest.mark.parametrize(
        "file", ["seeds.py", "training/loop.py", "metrics/classification.py", "calibrators/alg.py", "data/packed.py"]
    )
    def test_words_only(self, edited: Project, file: str) -> None:
        """Another docstring, comments, blank lines, imports that are sorted otherwise."""
        place = edited.source / "workflow" / "finecal" / file
        docstring, *rest = re.split(r'(?<=""")\n', place.read_text(), maxsplit=1)
        assert docstring.startswith('"""')
        body = re.sub(r'^( +""")([A-Z])', r"\1Also: \2", rest[0], flags=re.MULTILINE)
        body = body.replace("\n\n\n", "\n\n# a comment\n\n")
        place.write_text(f'"""Other words."""\n# and a comment\n{body}\nimport os  # noqa\n')
        assert edited.planned() == {}

    @pytest.fixture
    def extended(self, edited: Project) -> Project:
        """The project with sources that have an option more, which declares its neutral value."""
        place = edited.source / "workflow/finecal/config/training.py"
        text, field = place.read_text(), "    batch_size: Count = Field("
        assert text.count(field) == 1
        new = '    ema: NonNegative = Field(0.0, json_schema_extra={"neutral": 0.0}, description="A new option.")\n'
        place.write_text(text.replace(field, new + field))
        return edited

    def test_new_option_at_its_neutral_value(self, extended: Project) -> None:
        assert extended.planned() == {}
        with extended.study() as study:
            study["training"]["ema"] = 0.0
            study["pretraining"]["training"]["ema"] = 0
        assert extended.planned() == {}

    def test_new_option_at_another_value(self, extended: Project) -> None:
        with extended.study() as study:
            study["training"]["ema"] = 0.5
        assert extended.planned() == FROM_FINETUNING


@pytest.mark.slow
def test_what_is_planned_is_run(project: Project) -> None:
    """Really run after a change of a calibrator: the new results are there, and then nothing is left to do."""

    def times() -> dict[str, int]:
        return {f: project.path(f).stat().st_mtime_ns for f in project.files() if f.endswith(".safetensors")}

    before = times()
    with project.study() as study:
        study["calibrators"].remove("pcv")
    project.snakemake("--cores", "2")
    assert project.planned() == {}
    assert times() == before
    assert "pcv" not in project.path("results/tables/main.csv").read_text()


def test_copied_with_other_times(project: Project) -> None:
    """As by `cp -r`, or from an archive: times say nothing, and Snakemake's notes are of other times or not there."""
    shuffled = random.Random(0)
    for file in sorted(project.path("results").rglob("*")):
        if file.is_file():
            written = time.time() - shuffled.uniform(0, 1e6)
            os.utime(file, (written, written))
    assert project.planned() == {}
    shutil.rmtree(project.path(".snakemake"))
    assert project.planned() == {}


def test_copied_results_alone(complete: Project, empty: Project) -> None:
    """Results carried to another folder without anything else of the old one, their times kept."""
    copy_folder(complete.path("results"), empty.path("results"))
    assert empty.planned() == {}
