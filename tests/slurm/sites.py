"""The cluster of the tests with another configuration: as other sites have it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mini_cluster import ALL_NODES, CONFIGURATION, Cluster

FILES = ("slurm.conf", "gres.conf")


def linear(text: str) -> str:
    """Whole nodes for each job, as where slurm.conf names no SelectType; without shares of GPUs and job arrays."""
    text = text.replace("SelectType=select/cons_tres", "MaxArraySize=0").replace("CR_Core_Memory", "CR_Memory")
    text = text.replace("GresTypes=gpu,shard", "GresTypes=gpu")
    text = re.sub(r"(gpu:\d),shard:\d+", r"\1", text)
    return "\n".join(line for line in text.splitlines() if "Name=shard" not in line) + "\n"


@contextmanager
def site(cluster: Cluster, change: Callable[[str], str]) -> Iterator[None]:
    """Change the texts of slurm.conf and gres.conf while the context lasts; nothing else may run on the cluster."""
    before = {name: (CONFIGURATION / name).read_text() for name in FILES}
    _restart(cluster, {name: change(text) for name, text in before.items()})
    try:
        yield
    finally:
        _restart(cluster, before)


def _restart(cluster: Cluster, files: dict[str, str]) -> None:
    for daemon in ("slurmctld", *(f"slurmd.{node}" for node in ALL_NODES)):
        cluster.end(daemon, signal.SIGTERM)
    for name, text in files.items():
        (CONFIGURATION / name).write_text(text)
    cluster.start_controller()
    cluster.start_nodes(*ALL_NODES)
