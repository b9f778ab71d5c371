"""A real SLURM for the tests: a controller and three nodes with pretended GPUs, on this machine.

    apt-get install slurm-wlm munge

The tests need to be root, since slurm.conf must lie in /etc/slurm: a job step's Snakemake drops SLURM_CONF. A
configuration that is not of these tests is never touched, and only what was started here is ended.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
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
# Nobody kills it or takes it out of service. What takes minutes goes on there beside other tests.
QUIET = "n3"
ALL_NODES = (*NODES, QUIET)
# Seconds until a daemon that does not come is given up: no claim, since a busy machine has taken more than 30.
PATIENCE = 180
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
# Seconds between two looks at jobs that wait, by default 60 and 30: a requeued one is not submitted, which wakes SLURM.
SchedulerParameters=sched_interval=2,bf_interval=2
AccountingStorageType=accounting_storage/none
# Without cgroups, it is this that enforces --mem.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MinJobAge=300
GresTypes=gpu,shard
# More than there is, so that what the rules ask for by default fits.
SlurmdParameters=config_overrides
NodeName=DEFAULT CPUs=4 RealMemory=100000 Gres=gpu:1,shard:4
NodeName=n[1-2] NodeAddr=127.0.0.1 NodeHostname={host} Port=[16821-16822]
NodeName=n3 NodeAddr=127.0.0.1 NodeHostname={host} Port=16823 CPUs=16 Gres=gpu:3,shard:12
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=gpu Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
PartitionName=quiet Nodes=n3 State=UP
PartitionName=short Nodes=n[1-2] MaxTime=30 State=UP
# Jobs of `urgent` take what they need from those of the others: SLURM starts them again, but for those of `scavenger`.
PartitionName=scavenger Nodes=n[1-2] PreemptMode=CANCEL State=UP
PartitionName=urgent Nodes=n[1-2] PriorityTier=10 State=UP
"""
GRES_CONF = """\
{mark}
NodeName=n1 Name=gpu File=/dev/null
NodeName=n1 Name=shard Count=4
NodeName=n2 Name=gpu File=/dev/zero
NodeName=n2 Name=shard Count=4
NodeName=n3 Name=gpu File=/dev/full
NodeName=n3 Name=gpu File=/dev/random
NodeName=n3 Name=gpu File=/dev/urandom
NodeName=n3 Name=shard Count=12
"""


class Cluster:
    """The daemons, each ended by its pid file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self) -> None:
        for name in ("state", *(f"spool.{node}" for node in ALL_NODES)):
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
        self.start_nodes(*ALL_NODES)

    def start_controller(self) -> None:
        _call("slurmctld")

    def stop_controller(self) -> None:
        self.end("slurmctld", signal.SIGTERM)

    def start_nodes(self, *nodes: str) -> None:
        """Start the daemons of nodes and wait until they take jobs."""
        for node in nodes:
            _call("slurmd", "-N", node)
        self.wait_until_idle(*nodes)

    def wait_until_idle(self, *nodes: str) -> None:
        # By `scontrol`: after a node has died and come back, `sinfo` has called it otherwise for minutes.
        show = ("scontrol", "--oneliner", "show", "node", ",".join(nodes))
        try:
            wait_until(
                lambda: set(re.findall(r" State=(\S+)", slurm(*show))) == {"IDLE"}, PATIENCE,
                f"{', '.join(nodes)} to be idle",
            )  # fmt: skip
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{slurm(*show)}\n{slurm('sinfo', '-N')}") from None

    def set_nodes(self, *changes: str) -> None:
        """Change the nodes, but for the quiet one, as an administrator does."""
        slurm("scontrol", "update", f"nodename={','.join(NODES)}", *changes)

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and every process of its jobs at once, as a power cut does."""
        self.end(f"slurmd.{node}", signal.SIGKILL)
        for pid in _processes_of(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        with suppress(subprocess.CalledProcessError):
            slurm("scancel", "--me")
            wait_until(lambda: not slurm("squeue", "-h"), PATIENCE, "the cancelled jobs to end")
        # The last two if accounting's tests were killed.
        for name in (*(f"slurmd.{node}" for node in ALL_NODES), "slurmctld", "munged", "slurmdbd", "database"):
            self.end(name, signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf", "slurmdbd.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)

    def end(self, name: str, number: int) -> None:
        """Send a signal to a daemon that is known by its pid file, if it is there, and wait for its end."""
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int((self.folder / f"{name}.pid").read_text())
            os.kill(pid, number)
            wait_until(lambda: not _is_running(pid), PATIENCE, f"{name} to end")


def _is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def _processes_of(node: str) -> list[int]:
    """Return the processes of a node's jobs, known by their environment, after the step daemons above them.

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
    """Return the output of one of SLURM's commands."""
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
    """Wait for a condition; return its first true value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.1)
    return value
