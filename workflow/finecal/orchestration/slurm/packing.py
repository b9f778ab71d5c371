"""Which jobs share a SLURM job.

Three kinds of jobs share: light ones, one after the other, up to the number that their rule gives as the resource
`in_turn`; others with a GPU, side by side, if `runs_per_gpu` is more than 1; and those of one run with a GPU, one after
the other, since what follows them needs both. What follows in the same SLURM job is looked up later (following.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from finecal.errors import UserError
from finecal.orchestration.slurm.limits import RESUMABLE
from finecal.orchestration.slurm.requests import PLACE, combine, is_known, requested_resources

# Resources of jobs with several tasks.
OF_SEVERAL = ("mpi", "tasks", "nodes", "tasks_per_gpu", "tasks_per_node")
# Minutes that a partition grants at most, None for no limit.
TimeLimit = Callable[[str | None], int | None]


def pack_size(job: Any, runs_per_gpu: int) -> int:
    """Return how many jobs like this one a SLURM job takes; 0 if it is submitted by itself, as the plugin does.

    Where the site divides GPUs (`gpu_share`), each has a SLURM job with a part of a GPU. Those to be tried again share
    with fewer, since GPU memory may have been what they lacked.
    """
    if job.is_group():
        return 0
    if in_turn := job.resources.get("in_turn"):
        return int(in_turn)
    if runs_per_gpu > 1 and job.resources.get("gpu") == 1:
        return 1 if job.resources.get("gpu_share") else max(1, runs_per_gpu // job.attempt)
    # Alone, but known to whoever takes over. Of several tasks or nodes the plugin knows more.
    return int(not any(is_known(job.resources.get(name)) for name in OF_SEVERAL))


def check_in_turn(rule: str, in_turn: Any) -> None:
    """Check that the resource `in_turn` of a rule is a number of jobs.

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


def divide(jobs: Iterable[Any], runs_per_gpu: int, time_limit: TimeLimit = lambda _: None) -> list[list[Any]]:
    """Divide jobs into those of one SLURM job, evenly: of one place, and with a GPU of one rule and backbone.

    The trainings of one run go together, as far as their times do.

    Parameters
    ----------
    jobs
        Snakemake's jobs with a `pack_size`.
    time_limit
        Jobs in turn share only as far as their times together fit into it.
    """
    jobs = list(jobs)
    companions = _find_companions(jobs, time_limit)
    placed = {id(one) for together in companions.values() for one in together}
    alike: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for job in jobs:
        if id(job) in placed:
            continue
        resources = requested_resources(job)
        in_turn = bool(resources.get("in_turn"))
        backbone = job.wildcards_dict.get("backbone") if resources.get("gpu") else None
        size = pack_size(job, runs_per_gpu)
        limit = time_limit(resources.get("slurm_partition")) if in_turn else None
        if limit is not None and (minutes := resources.get("runtime")):
            size = max(1, min(size, limit // minutes))
        # Light jobs without a GPU share whatever their rules are.
        rule = None if in_turn and not resources.get("gpu") else job.name
        alike[(size, in_turn, rule, backbone, *(resources.get(name) for name in PLACE))].append(job)
    packs = []
    for (size, *_), members in alike.items():
        count = -(-len(members) // size)
        packs += [members[first::count] for first in range(count)]
    return [[*pack, *(one for job in pack for one in companions.get(id(job), ()))] for pack in packs]


def _find_companions(jobs: Iterable[Any], time_limit: TimeLimit) -> dict[int, list[Any]]:
    """Return, by the id of a training, the others of its run, which go into its SLURM job."""
    first: dict[tuple[Any, ...], Any] = {}
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for job in jobs:
        if job.name not in RESUMABLE or job.attempt > 1:
            continue
        resources = requested_resources(job)
        run = (*sorted(job.wildcards_dict.items()), *(resources.get(name) for name in PLACE))
        other = first.setdefault(run, job)
        if other.name == job.name:
            continue
        together = (other, *found[id(other)], job)
        limit, minutes = time_limit(resources.get("slurm_partition")), combine(together).resources.get("runtime")
        if limit is None or (isinstance(minutes, int) and minutes <= limit):
            found[id(other)].append(job)
    return dict(found)
