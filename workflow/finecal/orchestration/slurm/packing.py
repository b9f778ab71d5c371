"""Which jobs one SLURM job takes, and what it asks for in their place.

Two kinds of jobs share: light ones, one after the other, up to the number that their rule gives as the resource
`in_turn`; and others with a GPU, side by side, if `runs_per_gpu` is more than 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from snakemake.common.tbdstring import TBDString

from finecal.errors import UserError

Granted = Callable[[str | None], int | None]

# What members must agree on.
PLACE = ("slurm_partition", "slurm_account", "qos", "constraint", "slurm_extra", "gpu_model", "gpu_share")
# Of members side by side these are added up.
ADDED = ("mem_mb", "mem_mib", "disk_mb", "disk_mib")


def partition(job: Any) -> str | None:
    """Where a job goes: with a GPU to `gpu_partition`, if the site has one for those alone."""
    of_gpus = job.resources.get("gpu_partition") if job.resources.get("gpu") else None
    found: str | None = of_gpus or job.resources.get("slurm_partition")
    return found


def route_to_partition(job: Any) -> None:
    """Give a job what the profile says of jobs with a GPU: the partition and the model of the GPU."""
    if job.is_group() or not job.resources.get("gpu"):
        return
    if where := partition(job):
        job.resources.slurm_partition = where
    if model := job.resources.get("gpu_type"):
        job.resources.gpu_model = model


def room(job: Any, runs_per_gpu: int) -> int:
    """How many jobs like this one a SLURM job takes; 0: it does not share, not even with itself.

    Where the site divides GPUs (`gpu_share`), each has a SLURM job with a part of a GPU. Those to be tried again share
    with fewer, since GPU memory may have been what they lacked.
    """
    if job.is_group():
        return 0
    if in_turn := job.resources.get("in_turn"):
        return int(in_turn)
    if runs_per_gpu > 1 and job.resources.get("gpu") == 1:
        return 1 if job.resources.get("gpu_share") else max(1, runs_per_gpu // job.attempt)
    return 0


def is_known(value: Any) -> bool:
    """Whether a resource has a value: None is none, and Snakemake's `<TBD>` stands for one that depends on inputs."""
    return value is not None and not isinstance(value, TBDString)


def check_in_turn(rule: str, in_turn: Any) -> None:
    """Whether the resource `in_turn` of a rule is a number of jobs.

    Raises
    ------
    UserError
        If not.
    """
    if is_known(in_turn) and (not isinstance(in_turn, int) or in_turn < 0):
        raise UserError(
            f"in_turn is {in_turn!r}", where=f"--set-resources {rule}:in_turn",
            why="It is the number of jobs that share a SLURM job one after the other; 0 submits each by itself",
        )  # fmt: skip


def packs(jobs: Iterable[Any], runs_per_gpu: int, granted: Granted = lambda _: None) -> list[list[Any]]:
    """Divide jobs into those of one SLURM job, evenly: of one rule and place, and with a GPU of one backbone.

    Parameters
    ----------
    granted
        Minutes that a partition grants at most: jobs in turn share only as far as their times fit in together.
    """
    alike: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for job in jobs:
        backbone = job.wildcards_dict.get("backbone") if job.resources.get("gpu") else None
        size = room(job, runs_per_gpu)
        limit = granted(job.resources.get("slurm_partition")) if job.resources.get("in_turn") else None
        if limit is not None and (minutes := job.resources.get("runtime")):
            size = max(1, min(size, limit // minutes))
        alike[(size, job.name, backbone, *(job.resources.get(name) for name in PLACE))].append(job)
    found = []
    for (size, *_), members in alike.items():
        count = -(-len(members) // size)
        found += [members[first::count] for first in range(count)]
    return found


def combined(jobs: Sequence[Any], *, divided: bool = True) -> SimpleNamespace:
    """One SLURM job in place of several, as far as the plugin reads it.

    Side by side: one GPU or the part of it that `gpu_share` says (shard:1), the CPUs and memory of all, the longest
    time. One after the other: the CPUs and memory of the largest, the time of all.

    Parameters
    ----------
    divided
        Whether `gpu_share` counts.

    Notes
    -----
    Before a job's inputs exist, Snakemake does not know the resources that depend on them (by default `disk_mb`). What
    is not known of a member does not count, so the result is a lower bound then; what is known of no member is left
    out. When jobs are submitted, their inputs exist.
    """
    in_turn = bool(jobs[0].resources.get("in_turn"))
    # By name as well, since Snakemake's `items` leaves out what `route_to_partition` has set.
    names = [*(name for job in jobs for name, _ in job.resources.items()), *PLACE]
    resources = {}
    for name in dict.fromkeys(names):
        add = name == "runtime" if in_turn else name in ADDED
        value = _of_all([job.resources.get(name) for job in jobs], add=add)
        if value is not None:
            resources[name] = value
    share = resources.pop("gpu_share", None)
    if share and divided and resources.get("gpu"):
        del resources["gpu"]
        resources.pop("gpu_model", None)
        resources["gres"] = share
    threads = (max if in_turn else sum)(job.threads for job in jobs)
    return SimpleNamespace(name=jobs[0].name, resources=_Resources(resources), threads=threads)


def _of_all(values: Iterable[Any], *, add: bool) -> Any:
    """One resource of several jobs: the sum or the maximum of the numbers, else the first text; None if none is known.

    Numbers go first, since they are what SLURM is asked for; of a text such as `tmpdir` the jobs have the same.
    """
    known = [value for value in values if is_known(value)]
    numbers = [value for value in known if isinstance(value, int | float)]
    if numbers:
        return sum(numbers) if add else max(numbers)
    return known[0] if known else None


class _Resources(dict[str, Any]):
    """Resources by name and, as the plugin reads some, by attribute."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error
