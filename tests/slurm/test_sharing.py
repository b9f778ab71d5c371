"""Several trainings on one GPU: in one SLURM job each, or each with a part of the GPU where the site divides it.

They are played since test_cluster.py began, beside other tests, as the scenarios of aside.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from background import repeat
from mini_cluster import PATIENCE, Cluster, slurm, wait_until
from projects import GPU, STUDY, TASK, TINY, UNTIL_INTERRUPTED, Forks, Project, in_partition
from scenarios import by_name

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
SEEDS = (0, 1)
SHARING = ("--config", "runs_per_gpu=4")
PLACE = in_partition("quiet")


def study(**recipes: dict[str, Any]) -> dict[str, Any]:
    return {**TINY, "recipes": recipes, "seeds": list(SEEDS)}


def runs(recipe: str) -> list[str]:
    return [f"{TASK}/{recipe}/half/seed{seed}" for seed in SEEDS]


def models(*recipes: str) -> list[str]:
    return [f"{run}/model.safetensors" for recipe in recipes for run in runs(recipe)]


def shared_jobs(said: str, rule: str = "finetune") -> list[int]:
    """The number of members of each SLURM job that took jobs of a rule, in the order of submission."""
    return [int(found[1]) for found in re.finditer(rf"^SLURM job \d+ takes (\d+) of {rule}:", said, re.MULTILINE)]


@contextmanager
def watched(project: Project, rule: str) -> Iterator[list[str]]:
    """Collect what SLURM says of the project's jobs of a rule while they run."""
    seen: list[str] = []

    def look() -> None:
        seen.extend(
            slurm("scontrol", "show", "job", "--details", job) for job in project.jobs(rule, "--state", "RUNNING")
        )

    with repeat(look, 0.3):
        yield seen


def one_fails(project: Project, _: Cluster) -> None:
    """Only failed runs are tried again, and the jobs that need the others go on in the meantime."""
    recipes = {"short": TINY["recipes"]["short"], "breaking": {"recipe": "breaking", "training": {"epochs": 2}}}
    project.path(STUDY).write_text(yaml.safe_dump(study(**recipes)))
    project.path("broken").touch()
    metrics = [f"{run}/metrics.parquet" for run in runs("short")]
    failed = [f"{run}/metrics.parquet" for run in runs("breaking")]
    wanted = [*metrics, *failed, *PLACE, "--set-resources", GPU, *SHARING, "--retries", "1"]
    with watched(project, "finetune") as seen:
        said = project.run(*wanted, status=1)

    # Two short and two breaking ones, then the breaking ones again. What follows the short ones runs in their job.
    assert shared_jobs(said) == [4, 2]
    assert re.findall(r"^SLURM job \d+ takes \d+ of (\w+):", said, re.MULTILINE) == ["finetune"] * 2
    assert any("NumCPUs=4" in job and "gpu:1" in job for job in seen), seen[:1]
    assert "broken: something is broken." in said  # the log of the member, on the screen
    rules = Counter(re.findall(r"^\s*rule (\w+):$", said, re.MULTILINE))
    assert rules == {"finetune": 6, "extract": 2, "calibrate": 2, "evaluate": 2}
    assert all(project.path(file).is_file() for file in metrics)
    assert not any(project.path(file).exists() for file in [*models("breaking"), *failed])

    project.path("broken").unlink()
    again = project.run(*wanted)[len(said) :]
    assert re.findall(r"^SLURM job \d+ takes (\d+) of ", again, re.MULTILINE) == ["2"]
    assert all(project.path(file).is_file() for file in failed)
    rules = Counter(re.findall(r"^\s*rule (\w+):$", again, re.MULTILINE))
    assert rules == dict.fromkeys(("finetune", "extract", "calibrate", "evaluate"), 2)


def warning(project: Project, _: Cluster) -> None:
    """SLURM warns that the time limit is near."""
    interrupted(project, "scancel", "--signal=URG")


def requeue(project: Project, _: Cluster) -> None:
    """SLURM starts the job again, as after a preemption."""
    interrupted(project, "scontrol", "requeue", restarts=0)


def scancel(project: Project, _: Cluster) -> None:
    interrupted(project, "scancel", fork="snakemake")


def interrupted(project: Project, *command: str, restarts: int = 1, fork: Forks | None = None) -> None:
    """All runs that share a job save their state and go on from it."""
    project.path(STUDY).write_text(yaml.safe_dump(study(short=TINY["recipes"]["short"])))
    running = project.start(
        *models("short"), *PLACE, "--set-resources", GPU, *SHARING, environment=UNTIL_INTERRUPTED, fork=fork
    )
    states = [project.path(run.replace("results", "state", 1)) / "state.pt" for run in runs("short")]
    wait_until(lambda: all(state.exists() for state in states), PATIENCE, "both to have saved their state")
    (job,) = project.jobs("finetune")
    slurm(*command, job)
    said = project.finish(running)
    assert shared_jobs(said) == [2] * (1 + restarts)
    assert said.count("Trying to restart job") == 2 * restarts
    for run, model in zip(runs("short"), models("short"), strict=True):
        log = project.path(run.replace("results", "logs/finetune") + ".log").read_text()
        assert re.search(r"resuming at step \d+", log), log
        assert project.path(model).is_file()
    assert not any(state.parent.exists() for state in states)


def parts_of_a_gpu(project: Project, _: Cluster) -> None:
    """Where the site divides its GPUs, each run is a job with a part, and they run at the same time on one."""
    project.path(STUDY).write_text(yaml.safe_dump(study(short=TINY["recipes"]["short"])))
    parts = ["--default-resources", "gpu_share=shard:1", "slurm_partition=gpu", "gpu_partition=quiet", "mem_mb=4000"]
    options = ["--set-resources", GPU, "finetune:runtime=20", *SHARING, *parts]
    with watched(project, "finetune") as seen:
        said = project.run(*models("short"), *options)
    assert shared_jobs(said) == [1, 1]
    numbers = {found[1] for job in seen if (found := re.search(r"JobId=(\d+)", job))}
    assert len(numbers) == 2
    assert all("shard:1" in job and "gpu:1" not in job for job in seen), seen[0]
    assert all("Partition=quiet" in job for job in seen), seen[0]


SCENARIOS = by_name(one_fails, warning, requeue, scancel, parts_of_a_gpu)
FAULTS = (warning.__name__, requeue.__name__, scancel.__name__)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.fault] if name in FAULTS else []) for name in SCENARIOS]
)
def test_sharing(name: str, played_aside: dict[str, Future[Project]], undisturbed: Callable[[str], Project]) -> None:
    project, expected = played_aside[name].result(timeout=900), undisturbed("short")
    (model, *_), metrics = models("short"), f"{runs('short')[0]}/metrics.parquet"
    assert project.path(model).read_bytes() == expected.path(model).read_bytes()
    if name == "one_fails":
        assert pq.read_table(project.path(metrics)).equals(pq.read_table(expected.path(metrics)))
