"""How much time the partitions grant a job, and which nodes they have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from finecal.errors import UserError, counted
from finecal.orchestration.slurm.commands import NO_ANSWER, print_message, run_command
from finecal.plan.stages import STAGES

# Trainings: one that does not end in its time goes on from its saved state at the next try.
RESUMABLE = tuple(stage.name for stage in STAGES.values() if stage.resumable)


class RequestedTime(NamedTuple):
    """What the jobs of a rule ask for: a partition by name (None: the default one), and minutes or None."""

    rule: str
    partition: str | None
    minutes: int | None


def check_time(requested: Iterable[RequestedTime]) -> None:
    """Check that no job asks for more time than its partition grants any job: it would wait for ever.

    Trainings get what the partition grants and go on at the next try, so for them a message is printed.

    Parameters
    ----------
    requested
        What jobs ask for at their first try; later tries are cut to what the partition grants.

    Raises
    ------
    UserError
        If jobs other than trainings ask for too much.
    """
    beyond = sorted(
        {(r.rule, r.minutes, limit) for r in requested if (limit := exceeded_limit(r.partition, r.minutes)) is not None}
    )
    for rule, minutes, limit in beyond:
        if rule in RESUMABLE:
            asked = counted(minutes or 0, "minute")
            print_message(
                f"{rule} asks for {asked}, its partition grants {limit}: a training that does not "
                "end in them goes on from its state at the next try (`--retries` says how many there are)"
            )
    too_long = [one for one in beyond if one[0] not in RESUMABLE]
    if too_long:
        rules = ", ".join(f"{rule} for {minutes}" for rule, minutes, _ in too_long)
        options = " ".join(f"{rule}:runtime={limit}" for rule, _, limit in too_long)
        raise UserError(
            f"jobs ask for more minutes than their partition grants, {max(limit for *_, limit in too_long)}: {rules}",
            where="profiles/slurm", why="SLURM would let them wait for ever",
            hint=f"Choose another partition, or say `--set-resources {options}`",
        )  # fmt: skip


def exceeded_limit(partition: str | None, minutes: int | None) -> int | None:
    """Return the limit of a partition in minutes if a job that asks for `minutes` exceeds it, else None."""
    limit = longest(partition)
    return limit if limit is not None and (minutes or 0) > limit else None


def longest(partition: str | None) -> int | None:
    """Return the minutes that a partition grants a job at most.

    None for no limit, an unknown partition, or where SLURM does not answer.

    Parameters
    ----------
    partition
        Its name; of several ("a,b") the most generous one counts; None or empty for the default partition.
    """
    try:
        limits = partition_limits()
    except NO_ANSWER:
        return None
    granted = [limits.get(name) for name in (partition or "").split(",")]
    return None if None in granted else max(limit for limit in granted if limit is not None)


@cache
def partition_limits() -> dict[str, int | None]:
    """Return the minutes that each partition grants at most, None for no limit; the default one also as "".

    SLURM is asked once, for hidden partitions too.
    """
    found: dict[str, int | None] = {}
    for line in run_command("sinfo", "--all", "--noheader", "--format=%P|%l").splitlines():
        name, _, limit = line.strip().partition("|")
        found[name.removesuffix("*")] = parse_minutes(limit)
        if name.endswith("*"):
            found[""] = parse_minutes(limit)
    return found


def nodes_at_work(partition: str | None) -> set[str]:
    """Return the names of the nodes that take jobs of a partition, the default one if it has no name."""
    columns = "--format=%N|%P"
    try:
        lines = run_command(
            "sinfo", "--all", "--noheader", "--Node", "--states=idle,alloc,mix,comp", columns
        ).splitlines()
    except NO_ANSWER:
        return set()
    names = (partition or "").split(",")
    found = [line.strip().partition("|") for line in lines]
    return {node for node, _, of in found if (of.removesuffix("*") in names if partition else of.endswith("*"))}


def parse_minutes(limit: str) -> int | None:
    """Return the whole minutes of a time as SLURM writes it, [days-][hours:]minutes:seconds; None for `infinite`.

    >>> parse_minutes("1-02:30:00"), parse_minutes("30:00"), parse_minutes("infinite")
    (1590, 30, None)
    """
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if match is None:
        return None
    days, hours, rest, _ = (int(part or 0) for part in match.groups())
    return (24 * days + hours) * 60 + rest
