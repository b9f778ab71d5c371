"""Which jobs Snakemake plans, before any has run."""

from __future__ import annotations

import re

import pytest
from conftest import PRETRAINED, RUNS, TASK, Jobs, Project, jobs, one_paragraph

HALVES = ["half0/seed0", "half1/seed0"]
ALL = [*HALVES, "all/seed0"]

# The stages of `finecal check`, and the rules that do them.
STAGES = {
    "prepare": ["prepare_domain"],
    "split": ["split_classes"],
    "pretrain": ["pretrain_model"],
    "class means": ["extract_class_means"],
    "finetune": ["finetune_model"],
    "extract pretrained": ["extract_pretrained_logits"],
    "pcv": ["finetune_pseudo_splits"],
    "extract": ["extract_logits"],
    "interpolate": ["extract_interpolated_logits"],
    "calibrate": ["fit_calibrators"],
    "evaluate": ["evaluate_run"],
    "similarity": ["compare_updates"],
    "gamma data": ["fit_gamma_on_parts"],
    "embed": ["map_features"],
    "aggregate": ["aggregate_runs", "aggregate_cost", "list_runs"],
    "table": ["make_table"],
    "figure": ["draw_figure"],
    "report": ["write_report"],
}

TO_PRETRAINED = jobs(prepare_domain=["printed"], pretrain_model=[PRETRAINED])
TO_FINETUNED = jobs(
    prepare_domain=["printed", "handwritten"],
    split_classes=["half0", "half1", "all"],
    pretrain_model=[PRETRAINED],
    finetune_model=ALL,
)
TO_EXTRACTED = TO_FINETUNED | jobs(extract_logits=ALL)
TO_CALIBRATED = TO_FINETUNED | jobs(
    split_classes=["half0", "half1"],
    finetune_model=HALVES,
    finetune_pseudo_splits=HALVES,
    extract_pretrained_logits=[TASK],
    extract_logits=HALVES,
    fit_calibrators=HALVES,
)
TO_EVALUATED = TO_EXTRACTED | jobs(
    finetune_pseudo_splits=HALVES,
    extract_pretrained_logits=[TASK],
    extract_interpolated_logits=HALVES,
    fit_calibrators=HALVES,
    evaluate_run=HALVES,
)


@pytest.mark.parametrize("study", ["digits", "small/class_size", "small/optimisers"])
def test_counts_are_those_of_finecal_check(empty: Project, study: str) -> None:
    """Every job is planned, as often as `finecal check` says."""
    blocks = empty.blocks("--config", f"studies={study}")
    said = dict(re.findall(r"^  ([a-z ]+?) +([\d,]+)$", empty.finecal("check", study), re.MULTILINE))
    total = int(said.pop("total"))
    counts = {stage: sum(len(blocks.get(rule, [])) for rule in rules) for stage, rules in STAGES.items()}
    assert {stage: n for stage, n in counts.items() if n} == {stage: int(n) for stage, n in said.items()}
    assert sum(map(len, blocks.values())) == total
    assert not empty.path("results").exists()


def test_every_job_has_a_log_of_its_own(empty: Project) -> None:
    means = f"results/digits/pretrained/{PRETRAINED}/class_means.parquet"
    blocks = empty.blocks("all", "results/tables/runs.parquet", means)
    rules = {rule for rules in STAGES.values() for rule in rules}
    assert set(blocks) == rules
    logs = [log for found in blocks.values() for job in found for log in job.get("log", ["none"])]
    assert len(set(logs)) == len(logs) == sum(map(len, blocks.values()))
    assert all(log.startswith("logs/") for log in logs)
    # No rule is left out of `all`: the others are targets.
    listed = set(empty.snakemake("--list-rules", "--quiet").split())
    assert rules <= listed


def test_every_target_says_what_it_is(empty: Project) -> None:
    lines = empty.forked(*empty.snakemake_command("--list-target-rules", "--quiet")).splitlines()
    said = dict(re.findall(r"^(\w+) \((.+)\)$", "\n".join(lines), re.MULTILINE))
    targets = {"all", "pretrained", "finetuned", "extracted", "calibrated", "evaluated"}
    targets |= {"cost", "table1", "table2", "figure1", "figure2", "figure3", "figure6", "figure7", "figure8"}
    targets |= {"leaderboard", "gamma_data", "gamma_sensitivity"}
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
                extract_pretrained_logits=[TASK],
                finetune_pseudo_splits=HALVES,
                extract_interpolated_logits=HALVES,
                aggregate_cost=["cost"],
                make_table=["cost_by_stage"],
                draw_figure=["cost"],
            ),
        ),
        ("table1", TO_EVALUATED | jobs(aggregate_runs=["metrics"], make_table=["main"])),
        ("table2", TO_EVALUATED | jobs(aggregate_runs=["metrics"], make_table=["ausuc"])),
        ("figure1", TO_EVALUATED | jobs(aggregate_runs=["metrics"], draw_figure=["gain"])),
        ("figure2", TO_EVALUATED | jobs(aggregate_runs=["metrics", "curve"], draw_figure=["curve"])),
        ("figure3", TO_EVALUATED | jobs(aggregate_runs=["metrics"], draw_figure=["relations"])),
        (
            "figure6",
            TO_FINETUNED
            | jobs(
                split_classes=["half0", "half1"],
                finetune_model=HALVES,
                compare_updates=HALVES,
                aggregate_runs=["update_similarity", "update_similarity_means"],
                draw_figure=["update_similarity"],
            ),
        ),
        (
            "figure8",
            jobs(
                prepare_domain=["printed", "handwritten"],
                split_classes=["half0"],
                pretrain_model=[PRETRAINED],
                extract_pretrained_logits=[TASK],
                finetune_model=["half0/seed0"],
                extract_logits=["half0/seed0"],
                map_features=["half0/seed0"],
                aggregate_runs=["feature_map"],
                draw_figure=["feature_map"],
            ),
        ),
        (
            "figure7",
            TO_FINETUNED
            | jobs(
                split_classes=["half0", "half1"],
                finetune_model=HALVES,
                aggregate_runs=["history"],
                draw_figure=["anatomy"],
            ),
        ),
    ],
)
def test_target_needs_only_its_ancestors(empty: Project, target: str, needed: Jobs) -> None:
    assert empty.planned(target) == needed


def test_one_file_needs_only_its_ancestors(empty: Project) -> None:
    assert empty.planned(f"{RUNS}/half0/seed0/logits.parquet") == jobs(
        prepare_domain=["printed", "handwritten"],
        split_classes=["half0"],
        pretrain_model=[PRETRAINED],
        finetune_model=["half0/seed0"],
        extract_logits=["half0/seed0"],
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
