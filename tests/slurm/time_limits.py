"""Trainings that need more than one time limit."""

from __future__ import annotations

import re

import yaml
from mini_cluster import Cluster
from projects import GPU, STUDY, TINY, Project
from scenarios import RESUMED, Scenario, model

LONG = model("long")


def time_limit_reached_several_times(project: Project, _: Cluster) -> None:
    """The training sleeps for 188 s, of which it gets no more than 90 s of one limit, which is a minute.

    SLURM looks at time limits every 30 s: it warns up to 30 s before the end or ends a job up to 30 s after it.
    """
    limits = ["--set-resources", "finetune_model:runtime=1", "finetune_model:mem_mb=4000", "--retries", "12"]
    warning = ["--default-resources", "slurm_extra=--signal=URG@1", "mem_mb=4000", "runtime=30"]
    said = project.finish(project.start(LONG, *limits, *warning, environment={"PACE": "0.47"}), seconds=800)
    assert said.count("Trying to restart job") >= 2, said[-3000:]
    assert re.search(RESUMED, project.training_log("long"))


def time_limit_of_a_pack(project: Project, _: Cluster) -> None:
    """Two trainings of 80 s share a SLURM job of a minute: the warning reaches both, and both go on."""
    project.path(STUDY).write_text(yaml.safe_dump({**TINY, "seeds": [0, 1]}))
    models = [LONG.replace("seed0", f"seed{seed}") for seed in (0, 1)]
    limits = ["--set-resources", GPU, "finetune_model:runtime=1", "finetune_model:mem_mb=4000", "--retries", "12"]
    warning = ["--default-resources", "slurm_extra=--signal=URG@1", "mem_mb=4000", "runtime=30"]
    sharing = ["--config", "runs_per_gpu=4"]
    running = project.start(*models, *limits, *warning, *sharing, environment={"PACE": "0.2"})
    said = project.finish(running, seconds=800)
    assert re.findall(r"^SLURM job \d+ takes (\d+) of finetune_model", said, re.MULTILINE)[:2] == ["2", "2"], said[
        -3000:
    ]
    for file in models:
        log = project.path(file.replace("results", "logs/finetune").replace("/model.safetensors", ".log"))
        assert re.search(RESUMED, log.read_text())
    project.run_here(models[1].replace("model.safetensors", "logits.parquet"))  # takes over what its training has left


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario for scenario in (time_limit_reached_several_times, time_limit_of_a_pack)
}
