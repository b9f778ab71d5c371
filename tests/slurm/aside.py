"""Scenarios that wait for minutes: played beside the other tests, on a node that those leave alone."""

from __future__ import annotations

import importlib
import re
import sys
from collections import Counter

import forks
import pyarrow.parquet as pq
import yaml
from mini_cluster import Cluster
from projects import GPU, REPOSITORY, STUDY, TINY, Project, copy_project, in_partition, run_folder
from scenarios import RESUMED, by_name, model

sys.path.append(str(REPOSITORY / "benchmarks"))
LONG = model("long")
PLACE = in_partition("quiet")
# A time limit of a minute, of which SLURM warns. More for `--set-resources` may follow.
MINUTE = (
    *PLACE, "slurm_extra=--signal=URG@1", "--retries", "12",
    "--set-resources", "finetune:runtime=1", "finetune:mem_mb=4000",
)  # fmt: skip


def time_limit_reached_several_times(project: Project, _: Cluster) -> None:
    """The training is too slow for the first limit and for the second: of its 320 s it gets no more than 90 s of each.

    SLURM looks at time limits every 30 s: it warns up to 30 s before the end or ends a job up to 30 s after it.
    """
    said = project.finish(project.start(LONG, *MINUTE, environment={"PACE": "2,2,0"}), seconds=800)
    assert said.count("Trying to restart job") >= 2, said[-3000:]
    assert re.search(RESUMED, project.training_log("long"))


def time_limit_of_a_pack(project: Project, _: Cluster) -> None:
    """Two trainings that are too slow share a SLURM job of a minute: the warning reaches both, and both go on."""
    project.path(STUDY).write_text(yaml.safe_dump({**TINY, "seeds": [0, 1]}))
    models = [LONG.replace("seed0", f"seed{seed}") for seed in (0, 1)]
    sharing = ["--config", "runs_per_gpu=4"]
    running = project.start(*models, *MINUTE, GPU, *sharing, environment={"PACE": "2,0"}, fork="snakemake")
    said = project.finish(running, seconds=800)
    assert re.findall(r"^SLURM job \d+ takes (\d+) of finetune", said, re.MULTILINE)[:2] == ["2", "2"], said[-3000:]
    for file in models:
        log = project.path(file.replace("results", "logs/finetune").replace("/model.safetensors", ".log"))
        assert re.search(RESUMED, log.read_text())
    project.run_here(models[1].replace("model.safetensors", "logits.parquet"))  # takes over what its training has left


def stages_and_batches(project: Project, _: Cluster) -> None:
    """`finetuned` stops after fine-tuning; `--batch` plans a part of the runs, and the last one the rest."""
    study = {**TINY, "recipes": {"short": TINY["recipes"]["short"]}, "seeds": [0, 1]}
    project.path(STUDY).write_text(yaml.safe_dump(study, sort_keys=False))
    said = project.run("finetuned", *PLACE)
    assert len(re.findall(r"^\s*rule finetune:$", said, re.MULTILINE)) == 2
    assert not re.search(r"rule (extract|calibrate):", said)
    assert len(list(project.path("results").rglob("short/half/seed*/model.safetensors"))) == 2

    project.run("table1", "--batch", "aggregate=1/2", *PLACE)
    metrics = [project.path(f"{run_folder('short')[:-1]}{seed}/metrics.parquet") for seed in (0, 1)]
    assert sum(file.is_file() for file in metrics) == 1
    assert not project.path("results/tables").exists()
    project.run("table1", "--batch", "aggregate=2/2", *PLACE)
    assert all(file.is_file() for file in metrics)
    assert project.path("results/tables/main.md").is_file()


def benchmark_of_groups(project: Project, _: Cluster) -> None:
    """The benchmark runs and counts the SLURM jobs; the times it prints are not checked."""
    command = ["python", str(REPOSITORY / "benchmarks/groups.py"), "--quick", "--partition", "quiet"]
    status, said = forks.run(command, project.folder, project.environment())
    assert not status, said
    _, *rows = ([cell.strip() for cell in line.split("|")[1:3]] for line in said.splitlines() if line.startswith("| "))
    *first, last = rows
    # The scores of a run are computed where its calibrators are fitted, unless each is to be alone.
    assert first == [["every job alone", "4"], ["up to 1", "2"]], said
    assert last == ["up to 2", "1"], said


def sweep(project: Project, _: Cluster) -> None:
    """As many SLURM jobs as trainings, and the numbers of this machine. The scores need logits of the upper bound."""
    benchmark = importlib.import_module("slurm_sweep")
    study = benchmark.study(2, epochs=1, steps_per_epoch=5)
    project.path(STUDY).write_text(yaml.safe_dump(study, sort_keys=False))
    project.run_here(*benchmark.SPLITS)
    here = copy_project(project, project.folder.with_name("sweep_here"))
    assert benchmark.sweep(project, 2, PLACE).jobs == 1
    said = project.log.read_text()
    assert re.findall(r"^SLURM job \d+ takes (.*?):", said, re.MULTILINE) == ["1 of finetune"] * 6, said
    rules = Counter(re.findall(r"^\s*rule (\w+):$", said, re.MULTILINE))
    assert rules == {"finetune": 6, "extract": 6, "calibrate": 4, "evaluate": 4, "gamma_draws": 4}
    assert not list(project.path(".snakemake/slurm_logs").rglob("*.sh"))
    files = benchmark.scores(2)
    here.run_here(*files, cores=2)
    for file in files:
        assert pq.read_table(project.path(file)).equals(pq.read_table(here.path(file))), file
    assert "Nothing to be done" in project.run(*files, *PLACE)[len(said) :]


SCENARIOS = by_name(
    time_limit_reached_several_times, time_limit_of_a_pack, stages_and_batches, benchmark_of_groups, sweep
)
