"""A study on the cluster: by named target and by file, batched light jobs, and the errors of a wrong setup."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from mini_cluster import STUDY, TINY, Cluster, Project, run_folder

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
METRICS = f"{run_folder('short')}/metrics.parquet"


def message(said: str) -> str:
    """finecal's one message in what Snakemake has said, without a traceback."""
    assert "Traceback" not in said, said
    found = list(dict.fromkeys(line for line in said.splitlines() if line.startswith("finecal: ")))
    assert len(found) == 1, said
    return found[0]


def test_named_targets_and_partial_reruns(project: Project, undisturbed: Callable[[str], Project]) -> None:
    study = {**TINY, "recipes": {"short": TINY["recipes"]["short"]}}
    project.path(STUDY).write_text(yaml.safe_dump(study, sort_keys=False))
    shutil.copytree(undisturbed("short").path("results"), project.path("results"), dirs_exist_ok=True)
    shutil.copytree(undisturbed("short").path(".snakemake"), project.path(".snakemake"), dirs_exist_ok=True)
    project.path(METRICS).unlink()

    said = project.run("table1", "figure2")
    assert "group job score" in said.lower()
    assert project.path("results/tables/main.md").is_file()
    assert project.path("results/figures/curve.svg").is_file()
    assert pq.read_table(project.path(METRICS)).equals(pq.read_table(undisturbed("short").path(METRICS)))
    assert not re.search(r"rule (finetune_model|extract_logits):", said)

    again = project.run("table1", "figure2")[len(said) :]
    assert "Nothing to be done" in again
    so_far = project.log.read_text()
    alone = project.run("--force", METRICS)[len(so_far) :]
    assert set(re.findall(r"^\s*rule (\w+):$", alone, re.MULTILINE)) == {"evaluate_run"}


def test_unknown_partition(project: Project) -> None:
    said = message(project.run(METRICS, "--default-resources", "slurm_partition=gpuu", status=2))
    assert "unknown partition 'gpuu'. Known, closest first: gpu." in said
    assert "profiles/slurm" in said
    assert not project.jobs()
    assert not list(project.path(".snakemake/locks").glob("*.lock"))


def test_no_sbatch(project: Project, tmp_path: Path) -> None:
    """As on a machine that is no login node."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "sh", "env", "git", "which"):
        (programs / name).symlink_to(str(shutil.which(name)))
    path = f"{Path(sys.executable).parent}{os.pathsep}{programs}"
    said = message(project.run(METRICS, environment={"PATH": path}, status=2))
    assert "there is no `sbatch` on the PATH" in said
    assert "module load slurm" in said


def test_a_folder_in_memory(project: Project) -> None:
    folder = Path("/dev/shm") / f"finecal-{os.getpid()}"
    shutil.copytree(project.folder, folder)
    try:
        said = message(Project(folder, project.source).run(METRICS, status=2))
    finally:
        shutil.rmtree(folder)
    assert f"{folder}: compute nodes do not see the working directory." in said
    assert "--directory DIR" in said


def test_a_folder_that_compute_nodes_do_not_see(project: Project, tmp_path: Path) -> None:
    """Another folder is mounted on the project's place, for this Snakemake only."""
    place = tmp_path / "place"
    place.mkdir()
    elsewhere = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"']
    possible = subprocess.run([*elsewhere, project.folder, place, "true"], capture_output=True, check=False)
    if possible.returncode:
        pytest.skip(f"nothing may be mounted here: {possible.stderr.decode().strip()}")
    seen = Project(place, project.source, before=[*elsewhere, str(project.folder), str(place)])
    said = message(seen.run(METRICS, "--retries", "0", status=1))
    assert f"{place}: compute nodes do not see the working directory." in said


def test_a_node_without_a_visible_gpu(project: Project, cluster: Cluster) -> None:
    """On a cluster `device: auto` means a GPU; a job that sees none fails instead of training on the CPU."""
    project.path("config.yaml").write_text(yaml.safe_dump({"studies": [STUDY], "device": "auto"}))
    said = message(project.run(f"{run_folder('short')}/model.safetensors", "--retries", "0", status=1))
    assert "device is 'cuda', but no GPU is visible to this job" in said
    assert "gpu=1" in project.log.read_text()
