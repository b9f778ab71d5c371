"""A real SLURM for the tests: a controller and two nodes with a pretended GPU each, on this machine.

    apt-get install slurm-wlm munge

The tests need to be root, since slurm.conf must lie in /etc/slurm: a job step's Snakemake drops SLURM_CONF. A
configuration that is not of these tests is never touched, and only what was started here is ended.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
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
GresTypes=gpu
NodeName=n[1-2] NodeAddr=127.0.0.1 NodeHostname={host} Port=[16821-16822] CPUs=2 RealMemory=10000 Gres=gpu:1
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
GRES_CONF = """\
{mark}
NodeName=n1 Name=gpu File=/dev/null
NodeName=n2 Name=gpu File=/dev/zero
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
        self._end("slurmctld", signal.SIGTERM)

    def start_node(self, node: str) -> None:
        """Start a node's daemon and wait until it takes jobs."""
        _call("slurmd", "-N", node)
        wait_until(lambda: slurm("sinfo", "-hN", "-n", node, "-o", "%t") == "idle", 30, f"{node} to be idle")

    def kill_node(self, node: str) -> None:
        """As if the node lost its power: its daemon and every process of its jobs die at once."""
        self._end(f"slurmd.{node}", signal.SIGKILL)
        for pid in _processes_of(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        with suppress(subprocess.CalledProcessError):
            slurm("scancel", "--me")
            wait_until(lambda: not slurm("squeue", "-h"), 60, "the cancelled jobs to end")
        for name in (*(f"slurmd.{node}" for node in NODES), "slurmctld", "munged"):
            self._end(name, signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)

    def _end(self, name: str, number: int) -> None:
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
    """The processes of a node's jobs, known by their environment, and the step daemons above them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (process / "environ").read_bytes().split(b"\0")
            if f"SLURMD_NODENAME={node}".encode() in environment:
                pid = int(process.name)
                while pid != 1 and b"slurmstepd" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                found += [int(process.name), *([pid] if pid != 1 else [])]
    return found


def _call(*command: str) -> str:
    # Daemons keep what they inherit, so no pipes.
    with Path(os.devnull).open("w") as nothing:
        subprocess.run(command, check=True, stdout=nothing, stderr=nothing, timeout=60)
    return ""


def slurm(*command: str) -> str:
    """The output of one of SLURM's commands."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true value of the condition."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The running cluster; skips where SLURM is not installed, but not in CI."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        reason = f"needs {', '.join(missing)}: apt-get install slurm-wlm munge" if missing else "needs to be root"
        if os.environ.get("CI") == "true":
            pytest.fail(f"tests/slurm {reason}")
        pytest.skip(reason)
    present = CONFIGURATION / "slurm.conf"
    if present.exists() and not present.read_text().startswith(MARK):
        pytest.skip(f"{present} is not of these tests: this machine belongs to a cluster")
    # One at a time on this machine. The lock is on the file's inode, so the file stays.
    with Path("/var/lock/finecal-tests-slurm").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Cluster(tmp_path_factory.mktemp("slurm"))
        try:
            made.start()
            yield made
        finally:
            made.stop()


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
        "short": {"recipe": "full", "training": {"epochs": 10}},
        "long": {"recipe": "full", "training": {"epochs": 40}},
    },
    "training": {"lr": 0.03, "backbone_lr_scale": 0.1, "steps_per_epoch": 40, "batch_size": 32},
    "splits": {"half": {"kind": "random", "fraction": 0.5, "seed": 0}},
    "seeds": [0],
    "oracle_fine_tuning": False,
    "calibrators": ["none", "alg"],
}
