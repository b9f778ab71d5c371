"""Which jobs one SLURM job takes, and what it asks for in their place.

Two kinds of jobs share: those with a GPU, side by side, if `runs_per_gpu` is more than 1; and light ones, one after the
other, up to the number that their rule gives as the resource `in_turn`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

# What members must agree on.
PLACE = ("slurm_partition", "slurm_account", "qos", "constraint", "slurm_extra", "gpu_model", "gpu_share")
# Of members side by side these are added up.
ADDED = ("mem_mb", "disk_mb")


def partition(job: Any) -> str | None:
    """Where a job goes: with a GPU to `gpu_partition`, if the site has one for those alone."""
    of_gpus = job.resources.get("gpu_partition") if job.resources.get("gpu") else None
    found: str | None = of_gpus or job.resources.get("slurm_partition")
    return found


def send(job: Any) -> None:
    """Give a job what the profile says of jobs with a GPU: the partition and the model of the GPU."""
    if job.is_group() or not job.resources.get("gpu"):
        return
    if where := partition(job):
        job.resources.slurm_partition = where
    if model := job.resources.get("gpu_type"):
        job.resources.gpu_model = model


def room(job: Any, runs_per_gpu: int) -> int:
    """How many jobs like this one a SLURM job takes; 0: it does not share, not even with itself.

    Where the site divides GPUs (`gpu_share`), each has a SLURM job with a part of a GPU.
    """
    if job.is_group():
        return 0
    if in_turn := job.resources.get("in_turn"):
        return int(in_turn)
    if runs_per_gpu > 1 and job.resources.get("gpu") == 1:
        return 1 if job.resources.get("gpu_share") else runs_per_gpu
    return 0


def packs(jobs: Iterable[Any], runs_per_gpu: int) -> list[list[Any]]:
    """Divide jobs into those of one SLURM job, evenly: of one rule and place, and with a GPU of one backbone."""
    alike: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for job in jobs:
        backbone = job.wildcards_dict.get("backbone") if job.resources.get("gpu") else None
        alike[(job.name, backbone, *(job.resources.get(name) for name in PLACE))].append(job)
    found = []
    for members in alike.values():
        count = -(-len(members) // room(members[0], runs_per_gpu))
        found += [members[first::count] for first in range(count)]
    return found


def combined(jobs: Sequence[Any]) -> SimpleNamespace:
    """One SLURM job in place of several, as far as the plugin reads it.

    Side by side: one GPU or the part of it that `gpu_share` says (shard:1), the CPUs and memory of all, the longest
    time. One after the other: the CPUs and memory of the largest, the time of all.
    """
    in_turn = bool(jobs[0].resources.get("in_turn"))
    place = {name: jobs[0].resources.get(name) for name in PLACE}
    resources = {**dict(jobs[0].resources.items()), **{k: v for k, v in place.items() if v is not None}}
    for name, value in resources.items():
        if isinstance(value, int):
            values = [job.resources.get(name, 0) for job in jobs]
            resources[name] = sum(values) if (name == "runtime" if in_turn else name in ADDED) else max(values)
    share = resources.pop("gpu_share", None)
    if share and resources.get("gpu"):
        del resources["gpu"]
        resources.pop("gpu_model", None)
        resources["gres"] = share
    threads = (max if in_turn else sum)(job.threads for job in jobs)
    return SimpleNamespace(name=jobs[0].name, resources=_Resources(resources), threads=threads)


class _Resources(dict[str, Any]):
    """Resources by name and, as the plugin reads some, by attribute."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error
