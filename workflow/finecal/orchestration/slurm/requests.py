"""What SLURM is asked for in place of Snakemake's jobs, which stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from snakemake.common.tbdstring import TBDString

from finecal.errors import UserError

# What members of one SLURM job must agree on.
PLACE = ("slurm_partition", "slurm_account", "qos", "constraint", "slurm_extra", "gpu_model", "gpu_share")
MB, MIB = 10**6, 2**20  # Snakemake's unit of memory and SLURM's
# Of members side by side these are added up.
ADDED = ("mem_mb", "mem_mib", "disk_mb", "disk_mib")


class Resources(dict[str, Any]):
    """Resources by name and, as the SLURM plugin reads some, by attribute."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


@dataclass
class Request:
    """One SLURM job, as far as the plugin reads it."""

    name: str  # of the rule
    resources: Resources
    threads: int


def requested_resources(job: Any) -> Resources:
    """Return the resources to ask for: a job's own, and for one with a GPU what the profile says of such jobs.

    The profile gives `gpu_partition` (if a site has a partition for them alone) and `gpu_type` to all jobs; here they
    become the partition and the GPU model of those that have a GPU.

    Raises
    ------
    UserError
        If one is no value.
    """
    try:
        resources = Resources(job.resources.items())
    except ValueError as error:  # of Snakemake, without a word about which
        raise UserError(
            f"a resource of {job.name} is a function of Python, such as all, max or id, and no text",
            where="--default-resources", why="Snakemake evaluates what is written without quotes",
            hint="Quote it twice: \"slurm_partition='all'\"",
        ) from error  # fmt: skip
    if job.is_group() or not resources.get("gpu"):
        return resources
    for given, asked in (("gpu_partition", "slurm_partition"), ("gpu_type", "gpu_model")):
        if value := resources.get(given):
            resources[asked] = value
    return resources


def in_units_of_slurm(resources: Resources) -> Resources:
    """Return resources with memory in MiB, in which SLURM counts: of 4 GiB Snakemake makes 4295 MB."""
    names = ("mem_mb", "mem_mb_per_cpu")
    memory = {
        name: round(value * MB / MIB) or 1 for name in names if isinstance(value := resources.get(name), int) and value
    }
    return Resources({**resources, **memory})


def is_known(value: Any) -> bool:
    """Return whether a resource has a value: Snakemake's `<TBD>` stands for one that depends on inputs not yet made."""
    return value is not None and not isinstance(value, TBDString)


def waves(jobs: Sequence[Any]) -> list[list[Any]]:
    """Return the members of a SLURM job by when they run: light ones one after the other, others rule after rule."""
    if jobs[0].resources.get("in_turn"):
        return [[job] for job in jobs]
    found: dict[str, list[Any]] = {}
    for job in jobs:
        found.setdefault(job.name, []).append(job)
    return list(found.values())


def combine(jobs: Sequence[Any], *, divided: bool = True, followers: Iterable[Any] = ()) -> Request:
    """Return one SLURM job in place of several.

    Those that run side by side get one GPU or the part of it that `gpu_share` says (shard:1) and the CPUs and memory of
    all. Of waves that run one after the other the largest counts, but their times are added up.

    Parameters
    ----------
    divided
        Whether `gpu_share` counts.
    followers
        Jobs that run afterwards, one after the other, with what there is: only their time is added.

    Notes
    -----
    Before a job's inputs exist, Snakemake does not know the resources that depend on them (by default `disk_mb`). Only
    the members for which a resource is known count, so the result is a lower bound then; a resource that is known of no
    member is left out. When jobs are submitted, their inputs exist.
    """
    in_waves = [[requested_resources(job) for job in wave] for wave in waves(jobs)]
    at_a_time = max(map(len, in_waves))
    members = [member for wave in in_waves for member in wave]
    resources = Resources()
    for name in dict.fromkeys(name for member in members for name in member):
        values = [member.get(name) for member in members]
        if name == "runtime":
            longest = [_combine_values([member.get(name) for member in wave]) for wave in in_waves]
            value = _combine_values([*longest, *(job.resources.get(name) for job in followers)], largest=None)
        else:
            value = _combine_values(values, largest=at_a_time if name in ADDED else 1)
        if value is not None:
            resources[name] = value
    share = resources.pop("gpu_share", None)
    if share and divided and resources.get("gpu"):
        del resources["gpu"]
        resources.pop("gpu_model", None)
        resources["gres"] = share
    threads = sum(sorted((job.threads for job in jobs), reverse=True)[:at_a_time])
    return Request(jobs[0].name, resources, threads)


def _combine_values(values: Iterable[Any], *, largest: int | None = 1) -> Any:
    """Return one resource of several jobs: the sum of the `largest` numbers, else the first text; None if unknown.

    Numbers go first, since they are what SLURM is asked for; of a text such as `tmpdir` the jobs have the same.
    """
    known = [value for value in values if is_known(value)]
    numbers = sorted((value for value in known if isinstance(value, int | float)), reverse=True)
    if numbers:
        return sum(numbers[:largest])
    return known[0] if known else None
