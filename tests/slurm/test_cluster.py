"""A study on the cluster: by named target and by file, and the errors of a wrong setup."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from mini_cluster import PATIENCE, Cluster, not_here, slurm, wait_until
from projects import GPU, STUDY, TINY, Project, run_folder
from scenarios import by_name

# Aside: what test_waited_for.py waits for. Running: the scenarios below, which wait while the tests above them go on.
pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.usefixtures("played_aside", "running")]
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
    # The fitted γ are there: their table is made beside the scores.
    assert re.search(r"^SLURM job \d+ takes 2 of (aggregate, evaluate|evaluate, aggregate): ", said, re.MULTILINE)
    assert project.path("results/tables/main.md").is_file()
    assert project.path("results/figures/curve.svg").is_file()
    assert pq.read_table(project.path(METRICS)).equals(pq.read_table(undisturbed("short").path(METRICS)))
    assert not re.search(r"rule (finetune|extract):", said)

    again = project.run("table1", "figure2")[len(said) :]
    assert "Nothing to be done" in again
    so_far = project.log.read_text()
    alone = project.run("--force", METRICS)[len(so_far) :]
    assert set(re.findall(r"^\s*rule (\w+):$", alone, re.MULTILINE)) == {"evaluate"}


def test_the_jobs_of_the_paper_are_told_of_its_studies(project: Project) -> None:
    """Whatever config.yaml selects. Of the jobs, those that need no network."""
    project.run("reproduce_paper", "--omit-from", "download", "pretrain")
    assert project.path("results/toy/images/similar.parquet").is_file()
    assert project.path("results/toy/splits/ab.parquet").is_file()


def test_unknown_partition(project: Project) -> None:
    said = message(project.run(METRICS, "--default-resources", "slurm_partition=gpuu", status=2))
    assert "unknown partition 'gpuu'. Known, closest first: gpu, quiet, urgent, scavenger, short." in said
    assert "profiles/slurm" in said
    assert not project.jobs()
    assert not list(project.path(".snakemake/locks").glob("*.lock"))


def test_the_plugins_own_executor_is_refused(project: Project) -> None:
    said = message(project.run(METRICS, "--executor", "slurm", status=2))
    assert "finecal does not work with the executor 'slurm'" in said
    assert "`executor: finecal-slurm`" in said
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
        said = message(Project(folder, project.source, fork="all").run(METRICS, status=2))
    finally:
        shutil.rmtree(folder)
    assert f"{folder}: compute nodes do not see the working directory." in said
    assert "--directory DIR" in said


SHORT_PARTITION = ("--default-resources", "slurm_partition=short", "mem_mb=4000", "runtime=10")


def test_more_time_than_the_partition_grants(project: Project) -> None:
    """The partition `short` grants 30 minutes: known before the first job. A training, which asks for 120, resumes."""
    hour = ("--set-resources", "extract:runtime=60")
    said = project.run(METRICS, *SHORT_PARTITION, *hour, status=2)
    assert "Traceback" not in said
    notice, error = (line for line in said.splitlines() if line.startswith("finecal: "))
    assert "finetune asks for 120 minutes, its partition grants 30: a training" in notice
    assert "jobs ask for more minutes than their partition grants, 30: extract for 60." in error
    assert "`--set-resources extract:runtime=30`" in error
    assert not project.jobs()


def test_a_gpu_that_the_cluster_does_not_have(project: Project) -> None:
    """SLURM is asked before the first job is submitted, and the key of the profile is named."""
    wrong = ("--default-resources", "gpu_type=h100", "mem_mb=4000", "runtime=10")
    first = project.run(METRICS, *wrong, "--set-resources", GPU, status=2)
    said = message(first)
    assert "profiles/slurm: gpu_model" in said
    assert "SLURM takes no job like those of finetune" in said
    assert "gpu_model=h100" in said
    second = project.run(METRICS, "--default-resources", "constraint=fast", "mem_mb=4000", status=2)
    assert "default-resources: constraint" in message(second[len(first) :])
    assert not re.search("has been submitted|SLURM job .* takes", project.log.read_text())


def a_folder_that_compute_nodes_do_not_see(project: Project, _: Cluster) -> None:
    """Another folder is mounted on the project's place, for this Snakemake only."""
    place = project.folder.with_name("place")
    place.mkdir()
    elsewhere = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"']
    possible = subprocess.run([*elsewhere, project.folder, place, "true"], capture_output=True, check=False)
    if possible.returncode:
        not_here(f"nothing may be mounted here: {possible.stderr.decode().strip()}")
    seen = Project(place, project.source, before=[*elsewhere, str(project.folder), str(place)])
    said = message(seen.run(METRICS, "--retries", "0", status=1))
    assert f"{place}: compute nodes do not see the working directory." in said


def a_node_without_a_visible_gpu(project: Project, _: Cluster) -> None:
    """On a cluster `device: auto` means a GPU; a job that sees none fails instead of training on the CPU."""
    project.path("config.yaml").write_text(yaml.safe_dump({"studies": [STUDY], "device": "auto"}))
    said = message(project.run(f"{run_folder('short')}/model.safetensors", "--retries", "0", status=1))
    assert "device is 'auto', on a cluster a GPU, but no GPU is visible to this job" in said
    assert "gpu=1" in project.log.read_text()
    assert "--device auto-gpu" in project.log.read_text()  # what was printed is what ran


def status_while_a_job_runs(project: Project, _: Cluster) -> None:
    """`finecal status` does not ask Snakemake, and tells what waits or runs on the cluster, and where."""
    running = project.start(f"{run_folder('long')}/model.safetensors", environment={"PACE": "0.25"}, fork="none")
    project.wait_for_state("long")
    wait_until(lambda: "epoch 1/" in project.training_log("long"), PATIENCE, "an epoch")
    said = project.finecal("status")
    assert "Snakemake is at work here" in said
    assert re.search(r"^Running:\n.*long.*seed0.*epoch.*SLURM job \d+ on n\d, ", said, re.MULTILINE), said
    running.send_signal(signal.SIGINT)  # Ctrl-C: the job ends with Snakemake
    project.finish(running, None)
    wait_until(lambda: not project.jobs(), 90, "the job to save its state and end")
    assert "the state is saved" in project.training_log("long")


def nodes_that_are_down_are_waited_for(project: Project, cluster: Cluster) -> None:
    """SLURM says of them what it says of nodes that there are not; but jobs would wait, so it is no error."""
    model = f"{run_folder('short')}/model.safetensors"
    cluster.set_nodes("state=drain", "reason=maintenance")
    try:
        running = project.start(model, "--set-resources", GPU)
        wait_until(lambda: project.jobs("finetune", "--state", "PENDING"), PATIENCE, "a waiting job")
        wrong = ("--default-resources", "gpu_type=h100", "mem_mb=4000", "--set-resources", GPU)
        other = Project(project.folder.with_name("other"), project.source, fork="all")
        shutil.copytree(project.folder, other.folder, ignore=shutil.ignore_patterns(".snakemake", "*.log"))
        assert "gpu_model=h100" in message(other.run(model, *wrong, status=2))
        probes = ("squeue", "-h", "--name", "finecal")  # of other tests, too, for a moment
        wait_until(lambda: not slurm(*probes), PATIENCE, "what was asked to be gone")
    finally:
        cluster.set_nodes("state=resume")
    project.finish(running)


def time_that_grows_stays_within_the_partition(project: Project, _: Cluster) -> None:
    """The second try would ask for 40 minutes. Both have the CPUs they ask for, more than this machine may have."""
    model = f"{run_folder('short')}/model.safetensors"
    options = ["--set-resources", "finetune:runtime=20 * attempt", "finetune:mem_mb=150 * attempt ** 4"]
    options += ["--set-threads", "finetune=4"]
    options += ["--finecal-slurm-keep-successful-logs"]
    said = project.run(model, *SHORT_PARTITION, *options, fork="snakemake")
    assert said.count("Trying to restart job") == 1
    assert "finetune: the partition grants less than 40 minutes; asking for 30." in said
    first, second = re.findall(r"^SLURM job (\d+) takes 1 of finetune", said, re.MULTILINE)
    limits = [slurm("squeue", "-h", "--states=all", "-j", job, "-o", "%l %C") for job in (first, second)]
    assert limits == ["20:00 4", "30:00 4"]
    assert re.search(r"SLURM's log ends with:\n.*exceeded (job )?memory limit", said, re.DOTALL | re.IGNORECASE)


SCENARIOS = by_name(
    time_that_grows_stays_within_the_partition, nodes_that_are_down_are_waited_for, status_while_a_job_runs,
    a_node_without_a_visible_gpu, a_folder_that_compute_nodes_do_not_see,
)  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_beside_the_others(name: str, running: dict[str, Future[Project]]) -> None:
    running[name].result(timeout=900)
