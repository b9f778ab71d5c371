"""A real SLURM for the tests: a controller and two nodes with a pretended GPU each, on this machine.

    apt-get install slurm-wlm munge

The tests need to be root, since slurm.conf must lie in /etc/slurm: a job step's Snakemake drops SLURM_CONF. A
configuration that is not of these tests is never touched, and only what was started here is ended.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = ("Snakefile", "config.yaml", "profiles", "envs", "workflow")

# ------------------------------------------------------------------ the cluster

MARK = "# Written by finecal's tests/slurm; removed when they end."
CONFIGURATION = Path("/etc/slurm")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "sinfo")
NODES = ("n1", "n2")
# Any character device serves as a GPU's file.
SLURM_CONF = """\
{mark}
ClusterName=finecal
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its credential has expired, by default two minutes.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmctldPort=16817
# A node that does not answer for so long is down, and its jobs are requeued.
SlurmdTimeout=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
# Without cgroups, it is this that enforces --mem.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MinJobAge=300
GresTypes=gpu,shard
# More than there is, so that what the rules ask for by default fits.
SlurmdParameters=config_overrides
NodeName=n[1-2] NodeAddr=127.0.0.1 NodeHostname={host} Port=[16821-16822] CPUs=4 RealMemory=100000 Gres=gpu:1,shard:4
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=ALL MaxTime=30 State=UP
# Jobs of `urgent` take what they need from those of the others: SLURM starts them again, but for those of `scavenger`.
PartitionName=scavenger Nodes=ALL PreemptMode=CANCEL State=UP
PartitionName=urgent Nodes=ALL PriorityTier=10 State=UP
"""
GRES_CONF = """\
{mark}
NodeName=n1 Name=gpu File=/dev/null
NodeName=n1 Name=shard Count=4
NodeName=n2 Name=gpu File=/dev/zero
NodeName=n2 Name=shard Count=4
"""


class Cluster:
    """The daemons, each ended by its pid file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self) -> None:
        for name in ("state", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.touch(0o400)
        key.write_bytes(secrets.token_bytes(1024))
        values = {"mark": MARK, "host": socket.gethostname().partition(".")[0], "folder": self.folder}
        CONFIGURATION.mkdir(exist_ok=True)
        (CONFIGURATION / "slurm.conf").write_text(SLURM_CONF.format(**values))
        (CONFIGURATION / "gres.conf").write_text(GRES_CONF.format(**values))
        at = self.folder
        _call(
            "munged", "--force", f"--key-file={key}", f"--socket={at}/munge.socket", f"--pid-file={at}/munged.pid",
            f"--log-file={at}/munged.log", f"--seed-file={at}/munged.seed",
        )  # fmt: skip
        self.start_controller()
        for node in NODES:
            self.start_node(node)

    def start_controller(self) -> None:
        _call("slurmctld")

    def stop_controller(self) -> None:
        self.end("slurmctld", signal.SIGTERM)

    def start_node(self, node: str) -> None:
        """Start a node's daemon and wait until it takes jobs."""
        _call("slurmd", "-N", node)
        self.wait_until_idle(node)

    def wait_until_idle(self, *nodes: str) -> None:
        # One line for each node and partition.
        states = ("sinfo", "-hN", "-n", ",".join(nodes), "-o", "%t")
        wait_until(lambda: set(slurm(*states).split()) == {"idle"}, 30, f"{', '.join(nodes)} to be idle")

    def set_nodes(self, *changes: str) -> None:
        """Change all nodes, as an administrator does."""
        slurm("scontrol", "update", f"nodename={','.join(NODES)}", *changes)

    def kill_node(self, node: str) -> None:
        """As if the node lost its power: its daemon and every process of its jobs die at once."""
        self.end(f"slurmd.{node}", signal.SIGKILL)
        for pid in _processes_of(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        with suppress(subprocess.CalledProcessError):
            slurm("scancel", "--me")
            wait_until(lambda: not slurm("squeue", "-h"), 60, "the cancelled jobs to end")
        # The last two if accounting's tests were killed.
        for name in (*(f"slurmd.{node}" for node in NODES), "slurmctld", "munged", "slurmdbd", "database"):
            self.end(name, signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf", "slurmdbd.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)

    def end(self, name: str, number: int) -> None:
        """Send a signal to a daemon that is known by its pid file, if it is there, and wait for its end."""
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int((self.folder / f"{name}.pid").read_text())
            os.kill(pid, number)
            wait_until(lambda: not _is_running(pid), 20, f"{name} to end")


def _is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def _processes_of(node: str) -> list[int]:
    """The processes of a node's jobs, known by their environment, after the step daemons above them.

    The daemons first: one that outlived its processes would still report their end.
    """
    steps, found = set(), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"SLURMD_NODENAME={node}".encode() in (process / "environ").read_bytes().split(b"\0"):
                pid = int(process.name)
                found.append(pid)
                while pid > 1 and b"slurmstepd" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                steps.add(pid)
    return [*(steps - {0, 1}), *found]


def _call(*command: str) -> str:
    # Daemons keep what they inherit, so no pipes.
    with Path(os.devnull).open("w") as nothing:
        subprocess.run(command, check=True, stdout=nothing, stderr=nothing, timeout=60)
    return ""


def slurm(*command: str) -> str:
    """The output of one of SLURM's commands."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def mount(*arguments: str | Path) -> None:
    """Mount something; where that is refused, the test is skipped, but not in CI."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        not_here(f"nothing may be mounted here: {done.stderr.strip()}")


def not_here(reason: str) -> None:
    """Skip a test that this machine cannot run; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true value of the condition."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)
    return value


# ------------------------------------------------------------------ a project on it

STUDY = "tiny.yaml"
TINY: dict[str, Any] = {
    "description": "The smallest study whose fine-tuning can be interrupted.",
    "datasets": {"digits": {"options": {"per_class": 30}}},
    "tasks": {"digits": ["printed-handwritten"]},
    "backbones": ["test_resnet"],
    "image_size": 32,
    "pretraining": {
        "weights": "random",
        "training": {"lr": 0.1, "backbone_lr_scale": 1.0, "epochs": 1, "steps_per_epoch": 5, "batch_size": 32},
    },
    "recipes": {
        "short": {"recipe": "full", "training": {"epochs": 6}},
        "long": {"recipe": "paced", "training": {"epochs": 10}},
    },
    "training": {"lr": 0.03, "backbone_lr_scale": 0.1, "steps_per_epoch": 40, "batch_size": 32},
    "splits": {"half": {"kind": "random", "fraction": 0.5, "seed": 0}},
    "seeds": [0],
    "oracle_fine_tuning": False,
    "calibrators": ["none", "alg"],
}
SETTINGS = {"studies": [STUDY], "device": "cpu", "state_interval": 1}

# The profile as it is, but for the seconds until the first question about a job. The nodes' GPUs are pretended, so
# trainings run on the CPU, but they ask for one all the same.
SLURM = ("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1")
GPU = "finetune_model:gpu=1"
TASK = "results/digits/printed-handwritten/test_resnet"


def run_folder(recipe: str) -> str:
    return f"{TASK}/{recipe}/half/seed0"


@dataclass
class Project:
    """A working directory, and the Snakemakes that were started in it."""

    folder: Path
    source: Path
    before: list[str] = field(default_factory=list)  # in front of Snakemake's command
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "PYTEST", "COV", "SLURM"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**kept, "PATH": path, "PYTHONPATH": str(self.source / "workflow"), "CUDA_VISIBLE_DEVICES": ""}

    def start(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start Snakemake on the cluster, as a person would in a clone, with its output in `snakemake.log`."""
        command = [*self.before, "snakemake", *SLURM, *arguments, "--directory", str(self.folder)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.source, env={**self.environment(), **(environment or {})}, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def finish(self, process: subprocess.Popen[bytes], status: int | None = 0, seconds: float = 400) -> str:
        """Wait for Snakemake; what it has said, after checking its exit status (None: must not be zero)."""
        process.wait(seconds)
        said = self.log.read_text()
        as_expected = process.returncode == status if status is not None else process.returncode != 0
        assert as_expected, f"status {process.returncode}:\n{said[-6000:]}"
        return said

    def run(self, *arguments: str, status: int | None = 0, environment: dict[str, str] | None = None) -> str:
        return self.finish(self.start(*arguments, environment=environment), status)

    def stop(self) -> None:
        """End what was started and its jobs."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        if jobs := self.jobs():
            slurm("scancel", *jobs)
            wait_until(lambda: not self.jobs(), 90, "the cancelled jobs to end")

    def jobs(self, rule: str = "", *options: str) -> list[str]:
        """The numbers of this project's jobs that wait or run, all or those of a rule."""
        place = f"{self.folder}/.snakemake/slurm_logs/{rule and f'rule_{rule}/'}"
        jobs = slurm("squeue", "-h", *options, "-O", "JobID:20,STDOUT:1000").splitlines()
        return [job.split()[0] for job in jobs if place in job]

    def run_here(self, *arguments: str, cores: int = 1, environment: dict[str, str] | None = None) -> None:
        """Run Snakemake on this machine, undisturbed."""
        command = ["snakemake", "--cores", str(cores), *arguments, "--directory", str(self.folder)]
        done = subprocess.run(
            command,
            cwd=self.source,
            env={**self.environment(), **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def log(self) -> Path:
        return self.folder / "snakemake.log"

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def job(self, rule: str = "finetune_model") -> str:
        """The number of this project's running job of a rule."""
        return str(wait_until(lambda: self.jobs(rule, "-t", "RUNNING"), 120, f"a running job of {rule}")[0])

    def wait_for_state(self, recipe: str = "short", seconds: float = 240) -> str:
        """Wait until a training has saved its state; its job."""
        state = self.path(run_folder(recipe).replace("results", "state"), "state.pt")
        wait_until(state.is_file, seconds, str(state))
        return self.job()

    def training_log(self, recipe: str = "short") -> str:
        return self.path(run_folder(recipe).replace("results", "logs/finetune") + ".log").read_text()

    def leftovers(self) -> list[str]:
        """Files that nobody should find: half-written ones, and state of trainings that are done."""
        files = [p for folder in ("results", "state") for p in self.path(folder).rglob("*") if p.is_file()]
        return [str(p) for p in files if p.name.startswith(".") or "state" in p.relative_to(self.folder).parts]


def copy_sources(target: Path) -> Path:
    """Copy what a clone has of the source tree, and add the tests' own recipe."""
    target.mkdir(parents=True)
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(REPOSITORY / name, target / name)
    for recipe in ("paced", "breaking"):
        shutil.copyfile(Path(__file__).with_name(f"{recipe}.py"), target / f"workflow/finecal/recipes/{recipe}.py")
    return target


def copy_project(project: Project, target: Path) -> Project:
    subprocess.run(["cp", "-a", str(project.folder), str(target)], check=True)
    return Project(target, project.source)
