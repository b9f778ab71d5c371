"""How many jobs the user may have in SLURM at a time, as SLURM's accounts say."""

from __future__ import annotations

import getpass
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from finecal.orchestration.slurm.commands import NO_ANSWER, cluster_name, run_command
from finecal.orchestration.slurm.requests import requested_resources

ASSOCIATION = "format=Account,Partition,DefaultQOS,QOS,MaxSubmit,GrpSubmit"
QOS = "format=Name,MaxSubmitJobsPU,MaxSubmitJobsPA,GrpSubmit"


class Payer(NamedTuple):
    """Whose limits hold for a job, as far as it says; None is left to SLURM."""

    account: str | None
    qos: str | None
    partition: str | None


class _Association(NamedTuple):
    """What the user may do with an account, everywhere or in one partition."""

    account: str
    partition: str
    default_qos: str
    qos: list[str]
    most: float
    most_of_all: float


def payers(jobs: Iterable[Any]) -> set[Payer]:
    """Return what Snakemake's jobs say of account, QoS and partition; each of several is one of its own."""
    found = set()
    for job in jobs:
        resources = requested_resources(job)
        accounts = _names(resources.get("slurm_account"))
        partitions = _names(resources.get("slurm_partition"))
        qos = str(resources["qos"]) if resources.get("qos") else None
        found |= {Payer(account, qos, partition) for account in accounts for partition in partitions}
    return found


def _names(given: Any) -> list[str | None]:
    """Return what stands in a resource, with commas between; None alone if nothing does."""
    found: list[str | None] = [*str(given or "").replace(",", " ").split()]
    return found or [None]


def most_jobs(asking: Iterable[Payer]) -> int | None:
    """Return how many jobs the user may have in SLURM at a time; None for no limit, or where it cannot be read.

    Of several accounts or QoS that the jobs use the most generous one counts: SLURM itself refuses what is too much.
    """
    associations = [
        _Association(account, partition, default, qos.split(","), _number(most), _number(of_all))
        for account, partition, default, qos, most, of_all in _rows(ASSOCIATION, "assoc", "where", *_own())
    ]
    of_qos = {name: [*map(_number, numbers)] for name, *numbers in _rows(QOS, "qos")}
    default = "".join(_show("user", getpass.getuser(), "format=DefaultAccount")[:1])
    found = [_limit(payer, associations, of_qos, default) for payer in asking]
    least = max(found, default=math.inf)
    return None if least == math.inf else int(least)


def _limit(payer: Payer, associations: Iterable[_Association], of_qos: dict[str, list[float]], default: str) -> float:
    """Return the limit of one payer. That of a QoS comes before that of the association."""
    account = (payer.account or default).lower()
    own = [one for one in associations if one.account == account and one.partition in ("", payer.partition)]
    if not own:
        return math.inf
    chosen = max(own, key=lambda one: one.partition)  # that of the partition, if there is one
    name = payer.qos or chosen.default_qos
    names = [name] if name else chosen.qos
    found = []
    for qos in names:
        of_user, of_account, of_all = of_qos.get(qos, [math.inf] * 3)
        most = min(of_user, of_account)
        found.append(min(chosen.most if most == math.inf else most, of_all, chosen.most_of_all))
    return max(found)


def accounts_of_user() -> list[str]:
    """Return the names of the user's accounts; none where they cannot be read."""
    return sorted({*_show("assoc", "where", *_own(), "format=Account")} - {""})


def _own() -> list[str]:
    """Return which associations count: a database may know those of the user on other clusters, too."""
    cluster = cluster_name()
    return [f"user={getpass.getuser()}", *([f"cluster={cluster}"] if cluster else [])]


def _rows(columns: str, *what: str) -> list[list[str]]:
    """Return what `sacctmgr` shows as rows of so many columns."""
    rows = [line.split("|") for line in _show(*what, columns)]
    return [row for row in rows if len(row) == columns.count(",") + 1]


def _show(*what: str) -> list[str]:
    """Return the lines that `sacctmgr` shows, none where it does not answer."""
    try:
        return run_command("sacctmgr", "--noheader", "--parsable2", "show", *what).splitlines()
    except NO_ANSWER:
        return []


def _number(text: str) -> float:
    return float(text) if text.isdecimal() else math.inf
