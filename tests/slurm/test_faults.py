"""Each fault on the real SLURM, ending with the numbers of an undisturbed run on this machine.

A job mostly waits, for SLURM and for the next question about its state, so the tests run side by side: the first
one starts all that are selected. Those that hit the whole cluster come last, one at a time.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from background import repeat
from mini_cluster import PATIENCE, Cluster, mount, slurm, wait_until
from projects import GPU, STUDY, TINY, UNTIL_INTERRUPTED, Project, in_partition, run_folder
from scenarios import RESUMED, assert_as_undisturbed, by_name, model, play_one

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.fault]
MODEL = model("short")


def scancel(project: Project, _: Cluster) -> None:
    running = project.start(MODEL, "--set-resources", GPU, environment=UNTIL_INTERRUPTED)
    job = project.wait_for_state()
    slurm("scancel", job)
    assert re.search(rf"SLURM-job '{job}' failed on n[12].*, SLURM status is: 'CANCELLED'", project.finish(running))
    assert re.search(RESUMED, project.training_log())


def requeue(project: Project, _: Cluster) -> None:
    """SLURM starts the same job again, and Snakemake notices nothing."""
    running = project.start(MODEL, environment=UNTIL_INTERRUPTED)
    slurm("scontrol", "requeue", project.wait_for_state())
    assert "Trying to restart" not in project.finish(running)
    assert re.search(RESUMED, project.training_log())


def preempted(project: Project, _: Cluster) -> None:
    """A more urgent job takes the GPU: SLURM starts the training again, and Snakemake notices nothing."""
    assert "Trying to restart" not in _preempted(project, "gpu")


def preempted_for_good(project: Project, _: Cluster) -> None:
    """In this partition SLURM does not start a preempted job again, so Snakemake does."""
    said = _preempted(project, "scavenger")
    assert "SLURM status is: 'PREEMPTED'" in said
    assert said.count("Trying to restart job") == 1


def _preempted(project: Project, partition: str) -> str:
    running = project.start(
        MODEL, "--set-resources", GPU, *in_partition(partition), environment=UNTIL_INTERRUPTED, fork="all"
    )
    _take_node(project)
    said = project.finish(running)
    assert re.search(RESUMED, project.training_log())
    return said


def _take_node(project: Project) -> None:
    """Let a more urgent job take the node on which the training runs, as soon as that has a state."""
    node = slurm("squeue", "-h", "-j", project.wait_for_state(), "-o", "%N")
    urgent = ("--partition=urgent", f"--nodelist={node}", "--gpus=1", "--output=/dev/null", "--wrap=sleep 5")
    slurm("sbatch", *urgent)


def main_process_killed(project: Project, _: Cluster) -> None:
    """The next start removes the lock and follows the job that was left, also where `.snakemake` is a link."""
    project.path(".snakemake").rename(project.path("dot_snakemake"))
    project.path(".snakemake").symlink_to("dot_snakemake")
    alone = ("--retries", "0", *in_partition("quiet"))  # where no more urgent job takes the node
    running = project.start(MODEL, *alone, environment={"PACE": "0.8"}, fork="none")
    job = project.wait_for_state()
    with most_trainings_at_a_time(project) as most:
        running.kill()
        running.wait()
        assert any(project.path(".snakemake/locks").iterdir())
        said = project.run(MODEL, *alone, fork="none")
    assert f"has died. Its 1 job on the cluster ({job}) keeps going or waiting and will be followed" in said
    assert re.findall(r"^SLURM job (\d+) takes", said, re.MULTILINE) == [job]
    assert most == [1]
    assert not re.search(RESUMED, project.training_log())


def out_of_memory(project: Project, _: Cluster) -> None:
    """SLURM itself kills what takes more than its --mem; the second try has twice as much."""
    said = project.run(MODEL, "--set-resources", "finetune:mem_mb=700 * attempt", fork="snakemake")
    assert said.count("Trying to restart job") >= 1
    assert "memory limit" in "".join(log.read_text() for log in project.path(".snakemake/slurm_logs").rglob("*.log"))


def results_disk_full(project: Project, _: Cluster) -> None:
    _disk_full(project, run_folder("short"), "0")


def state_disk_full(project: Project, _: Cluster) -> None:
    _disk_full(project, "state", "0")


def scratch_disk_full(project: Project, _: Cluster) -> None:
    """The images do not fit into memory, so they are to lie on the disk of $TMPDIR, which is full."""
    image, disk = project.path("disk.img"), project.path("scratch")
    disk.mkdir()
    image.write_bytes(bytes(2**22))
    subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
    mount("-o", "loop", image, disk)
    occupied = disk / "occupied"
    scratch = ["--default-resources", f"tmpdir='{disk}'", "mem_mb=4000", "--retries", "0"]
    no_memory = {"FINECAL_SIDE_BY_SIDE": str(10**9)}  # the setting `data_memory` would stand in the model's provenance
    try:
        with occupied.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(2**10))
        os.truncate(occupied, occupied.stat().st_size - 2**16)  # room for what Snakemake writes there
        said = project.run(MODEL, *scratch, status=1, environment=no_memory, fork="all")
        assert "which fit neither into memory nor here (No space left on device)" in said
        assert "Set TMPDIR to a folder on a disk with more space" in said
        assert not project.path(run_folder("short")).exists()
        occupied.unlink()
        project.run(MODEL, *scratch, environment=no_memory, fork="all")
    finally:
        subprocess.run(["umount", disk], check=True)


def _disk_full(project: Project, folder: str, pace: str) -> None:
    """Nothing is submitted and no part of a file is left; with space again it goes on by itself."""
    disk = project.path(folder)
    disk.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", disk)
    occupied = disk / "occupied"
    try:
        occupied.write_bytes(bytes(3_600_000))
        running = project.start(MODEL, "--retries", "0", environment={"PACE": pace}, fork="all")
        wait_until(lambda: "There is no room on the disk" in project.log.read_text(), PATIENCE, "the full disk")
        assert not project.jobs()
        assert [p.name for p in disk.iterdir()] == ["occupied"]
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        occupied.unlink()
        assert "Error in rule" not in project.finish(running)
        kept = copy_folder(disk, project.folder / "kept")
    finally:
        subprocess.run(["umount", disk], check=True)
    shutil.copytree(kept, disk, dirs_exist_ok=True)
    shutil.rmtree(kept)


def copy_folder(folder: Path, target: Path) -> Path:
    subprocess.run(["cp", "-a", folder, target], check=True)
    return target


def node_killed(project: Project, cluster: Cluster) -> None:
    """Its daemon and all processes of the job die at once: the job starts again on the other node."""
    running = project.start(MODEL, environment=UNTIL_INTERRUPTED)
    job = project.wait_for_state()
    node = slurm("squeue", "-h", "-j", job, "-o", "%N")
    cluster.kill_node(node)
    try:
        said = project.finish(running)
    finally:
        cluster.start_nodes(node)
    assert "Trying to restart" not in said
    assert re.search(RESUMED, project.training_log())


def site_with_short_limits_a_bad_node_and_preemption(project: Project, cluster: Cluster) -> None:
    """A partition that grants 30 minutes, a node that has lost a mount, and more urgent jobs: no try is spent.

    From docs/cluster.md's first steps to a table. A node without the folder fails every job at once; it gets no more.
    On the other one the training is preempted.
    """
    hidden = 'mount -t tmpfs none "$0" && exec slurmd -N n1'
    cluster.end("slurmd.n1", signal.SIGTERM)
    try:
        subprocess.run(["unshare", "--mount", "sh", "-c", hidden, project.folder], check=True, timeout=60)
        cluster.wait_until_idle("n1")
        project.path(STUDY).write_text(yaml.safe_dump({**TINY, "recipes": {"short": TINY["recipes"]["short"]}}))
        assert re.search(r"^ *finetune +1$", project.finecal("check"), re.MULTILINE)
        options = ("--retries", "0", "--set-resources", GPU)
        running = project.start("table1", *options, *in_partition("short"), environment=UNTIL_INTERRUPTED, fork="all")
        _take_node(project)
        said = project.finish(running)
    finally:
        cluster.end("slurmd.n1", signal.SIGTERM)
        cluster.start_nodes("n1")
    assert "finetune asks for 120 minutes, its partition grants 30: a training" in said
    assert re.search(r"SLURM job \d+ could not begin on n1 \(log: .*no try is spent", said)
    assert "The node n1 gets no more jobs" in said
    assert project.path("results/tables/main.md").is_file()
    assert "Error in rule" not in said
    assert re.search(RESUMED, project.training_log())


def controller_restarted(project: Project, cluster: Cluster) -> None:
    """Neither the job nor Snakemake fails."""
    running = project.start(MODEL, environment={"PACE": "0.4"}, fork="all")
    project.wait_for_state()
    cluster.stop_controller()
    time.sleep(5)
    cluster.start_controller()
    assert "Trying to restart" not in project.finish(running)


SCENARIOS = by_name(
    scancel, requeue, preempted, preempted_for_good, main_process_killed, out_of_memory, results_disk_full,
    state_disk_full, scratch_disk_full,
)  # fmt: skip
ALONE = by_name(node_killed, site_with_short_limits_a_bad_node_and_preemption, controller_restarted)


@pytest.fixture(scope="session")
def prepared(prepared: Project) -> Project:
    """Here all of a job are processes: SLURM reaches each of them, and not only those that pass signals on."""
    return Project(prepared.folder, prepared.source, "snakemake")


@pytest.mark.parametrize("name", SCENARIOS)
def test_fault(name: str, running: dict[str, Future[Project]], undisturbed: Callable[[str], Project]) -> None:
    assert_as_undisturbed(running[name].result(timeout=900), undisturbed, "short")


@pytest.mark.parametrize("name", ALONE)
def test_fault_of_the_cluster(
    name: str,
    prepared: Project,
    cluster: Cluster,
    undisturbed: Callable[[str], Project],
    played_aside: dict[str, Future[Project]],
    tmp_path: Path,
) -> None:
    if name == controller_restarted.__name__:  # in the meantime no command of SLURM answers, also not to other tests
        wait(played_aside.values())
    assert_as_undisturbed(play_one(name, ALONE[name], prepared, cluster, tmp_path), undisturbed, "short")


@contextmanager
def most_trainings_at_a_time(project: Project) -> Iterator[list[int]]:
    """The largest number of SLURM jobs that were seen to have a training of a project at the same time."""
    most = [0]

    def look() -> None:
        most[0] = max(most[0], len({*_jobs_with_a_training(project)}))

    with repeat(look, 0.1):
        yield most


def _jobs_with_a_training(project: Project) -> Iterator[bytes]:
    """Yield the number of the SLURM job of each training's process.

    By job, since what a training starts, such as git, looks like a training for a moment.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"finetune" in command and (process / "cwd").resolve() == project.folder:
                environment = (process / "environ").read_bytes().split(b"\0")
                yield from (value for value in environment if value.startswith(b"SLURM_JOB_ID="))
