"""Which jobs Snakemake plans, before any has run."""

from __future__ import annotations

import re

import pytest
from conftest import PRETRAINED, RUNS, TASK, Jobs, Project, jobs, one_paragraph

from finecal.plan.stages import STAGES

HALVES = ["half0/seed0", "half1/seed0"]
ALL = [*HALVES, "all/seed0"]

# The stages whose jobs a study has that neither fetches anything, nor is of points in the plane, nor of other weights.
RULES = [name for name in STAGES if name not in ("download", "decision_regions", "export", "frame")]

TO_PRETRAINED = jobs(prepare=["printed"], pretrain=[PRETRAINED])
TO_FINETUNED = jobs(
    prepare=["printed", "handwritten"],
    split=["half0", "half1", "all"],
    pretrain=[PRETRAINED],
    finetune=ALL,
)
TO_EXTRACTED = TO_FINETUNED | jobs(extract=ALL)
TO_CALIBRATED = TO_FINETUNED | jobs(
    split=["half0", "half1"],
    finetune=HALVES,
    pseudo_splits=HALVES,
    extract_pretrained=[TASK],
    extract=HALVES,
    calibrate=HALVES,
)
TO_EVALUATED = TO_EXTRACTED | jobs(
    pseudo_splits=HALVES,
    extract_pretrained=[TASK],
    interpolate=HALVES,
    calibrate=HALVES,
    evaluate=HALVES,
)


@pytest.mark.parametrize("study", ["digits", "small/class_size", "small/optimisers"])
def test_counts_are_those_of_finecal_check(empty: Project, study: str) -> None:
    """Every job is planned, as often as `finecal check` says."""
    blocks = empty.blocks("--config", f"studies={study}")
    said = dict(re.findall(r"^  ([a-z ]+?) +([\d,]+)$", empty.finecal("check", study), re.MULTILINE))
    total = int(said.pop("total"))
    counts = {STAGES[rule].title: len(found) for rule, found in blocks.items()}
    assert counts == {stage: int(n) for stage, n in said.items()}
    assert sum(map(len, blocks.values())) == total
    assert not empty.path("results").exists()


def test_every_job_has_a_log_of_its_own(empty: Project) -> None:
    means = f"results/digits/pretrained/{PRETRAINED}/class_means.parquet"
    blocks = empty.blocks("all", "results/tables/runs.parquet", means)
    assert set(blocks) == set(RULES)
    logs = [log for found in blocks.values() for job in found for log in job.get("log", ["none"])]
    assert len(set(logs)) == len(logs) == sum(map(len, blocks.values()))
    assert all(log.startswith("logs/") for log in logs)
    # Each stage has a rule of its name.
    listed = set(empty.snakemake("--list-rules", "--quiet").split())
    assert STAGES.keys() <= listed


def test_every_target_says_what_it_is(empty: Project) -> None:
    lines = empty.forked(*empty.snakemake_command("--list-target-rules", "--quiet")).splitlines()
    said = dict(re.findall(r"^(\w+) \((.+)\)$", "\n".join(lines), re.MULTILINE))
    targets = {"all", "pretrained", "finetuned", "extracted", "calibrated", "evaluated"}
    targets |= {"cost", "table1", "table2", "figure1", "figure2", "figure3", "figure6", "figure7", "figure8"}
    targets |= {"macro", "leaderboard", "gamma_data", "gamma_sensitivity"}
    assert targets <= set(said)


def test_lint(empty: Project) -> None:
    empty.snakemake("--lint")


@pytest.mark.parametrize(
    ("target", "needed"),
    [
        ("pretrained", TO_PRETRAINED),
        ("finetuned", TO_FINETUNED),
        ("extracted", TO_EXTRACTED),
        ("calibrated", TO_CALIBRATED),
        ("evaluated", TO_EVALUATED),
        (
            "cost",
            TO_EXTRACTED
            | jobs(
                extract_pretrained=[TASK],
                pseudo_splits=HALVES,
                interpolate=HALVES,
                cost_table=["cost"],
                table=["cost_by_stage"],
                figure=["cost"],
            ),
        ),
        ("table1", TO_EVALUATED | jobs(aggregate=["metrics"], table=["main"])),
        ("table2", TO_EVALUATED | jobs(aggregate=["metrics"], table=["ausuc"])),
        ("macro", TO_EVALUATED | jobs(aggregate=["metrics"], table=["macro"])),
        ("figure1", TO_EVALUATED | jobs(aggregate=["metrics"], figure=["gain"])),
        ("figure2", TO_EVALUATED | jobs(aggregate=["metrics", "curve", "calibration"], figure=["curve"])),
        ("figure3", TO_EVALUATED | jobs(aggregate=["metrics"], figure=["relations"])),
        (
            "figure6",
            TO_FINETUNED
            | jobs(
                split=["half0", "half1"],
                finetune=HALVES,
                update_similarity=HALVES,
                aggregate=["update_similarity", "update_similarity_means"],
                figure=["update_similarity"],
            ),
        ),
        (
            "figure8",
            jobs(
                prepare=["printed", "handwritten"],
                split=["half0"],
                pretrain=[PRETRAINED],
                extract_pretrained=[TASK],
                finetune=["half0/seed0"],
                extract=["half0/seed0"],
                feature_map=["half0/seed0"],
                aggregate=["feature_map"],
                figure=["feature_map"],
            ),
        ),
        (
            "figure7",
            TO_FINETUNED
            | jobs(
                split=["half0", "half1"],
                finetune=HALVES,
                aggregate=["history"],
                figure=["anatomy"],
            ),
        ),
    ],
)
def test_target_needs_only_its_ancestors(empty: Project, target: str, needed: Jobs) -> None:
    assert empty.planned(target) == needed


def test_one_file_needs_only_its_ancestors(empty: Project) -> None:
    assert empty.planned(f"{RUNS}/half0/seed0/logits.parquet") == jobs(
        prepare=["printed", "handwritten"],
        split=["half0"],
        pretrain=[PRETRAINED],
        finetune=["half0/seed0"],
        extract=["half0/seed0"],
    )


@pytest.mark.parametrize(
    ("wrong", "coordinate", "known"),
    [
        ("full/half0/seed7", "unknown seed 7", "0"),
        ("ful/half0/seed0", "unknown recipe 'ful'", "full"),
        ("full/half9/seed0", "unknown split 'half9'", "half0"),
    ],
)
def test_unknown_run_names_the_known(empty: Project, wrong: str, coordinate: str, known: str) -> None:
    path = f"{RUNS.removesuffix('/full')}/{wrong}/metrics.parquet"
    one_paragraph(empty.dry_run(path, status=None), coordinate, f"closest first: {known}")
    one_paragraph(empty.finecal("evaluate", path.rpartition("/")[0], status=2), coordinate, f"closest first: {known}")
    assert not empty.path("results").exists()


@pytest.mark.slow
def test_the_whole_dag_with_touch_alone(project: Project) -> None:
    """Every job goes through the real scheduler, only its command is left out; then there is nothing left to do."""
    before = {file: project.path(file).read_bytes() for file in project.files()}
    said = project.snakemake("--cores", "2", "--touch", "--forceall")
    total = sum(map(len, project.blocks("--forceall").values()))
    assert len(re.findall(r"^Finished jobid: ", said, re.MULTILINE)) == total + 1  # `all` has no output
    assert {file: project.path(file).read_bytes() for file in project.files()} == before
    assert project.planned() == {}


@pytest.mark.parametrize(("runs", "percent"), [(1, 100), (3, 33), (100, 1)])
def test_the_part_of_a_gpu_that_a_training_takes(empty: Project, runs: int, percent: int) -> None:
    """The profile of this machine lets 100 % run at a time."""
    with empty.settings() as settings:
        settings |= {"device": "cuda", "runs_per_gpu": runs}
    planned = empty.dry_run(f"{RUNS}/half0/seed0/model.safetensors")
    assert planned.count(f"gpu=1, gpu_percent={percent},") == 2  # pretraining and fine-tuning
