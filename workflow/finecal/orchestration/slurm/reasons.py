"""What SLURM's reasons mean: why a job waits, why one has failed, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Of jobs that will start by themselves, soon: not worth a word.
USUAL = re.compile(
    r"None|Resources|Priority|Dependency|BeginTime|Cleaning|Prolog|SchedDefer|JobArrayTaskLimit|BurstBuffer.*|Block\w+"
    # How a job has ended that was put back into the queue.
    r"|FedJobLock|NonZeroExitCode|OutOfMemory|TimeLimit|InactiveLimit|SystemFailure|RaisedSignal",
    re.I,
)
# Of jobs that will never start as they are → what to change.
FINAL = {
    r"PartitionTimeLimit|(Assoc|QOS)Max(Wall|Time)\w*|(Association|QOS)TimeLimit":
        "it asks for more time than the partition, account or QoS grants a job: "
        "`--set-resources {rule}:runtime=MINUTES`, or another QoS in the profile",
    r"(Assoc|QOS)(Max|Min)\w*(PerJob|PerNode)\w*|QOSMin\w*|PartitionNodeLimit":
        "it asks for more or less than a limit of the account or QoS allows a job: `--set-resources {rule}:mem_mb=…`, "
        "or another QoS in the profile",
    r"MaxMemPerLimit":
        "it asks for more memory than its partition grants on a node: `--set-resources {rule}:mem_mb=…`, "
        "which is then the same at each try",
    r"QOSNotAllowed|InvalidQOS|Job's QOS not permitted.*":
        "its partition or account does not allow this QoS: set `qos` in the profile",
    r"AccountNotAllowed|InvalidAccount|Job's account not permitted.*":
        "its partition does not allow this account: set `account` in the profile",
    r"PartitionConfig|.*not permitted to use this partition.*":
        "its partition does not allow its account, QoS or group: set `account`, `qos` or `partition` in the profile",
    r"BadConstraints": "no node has what it asks for: change `constraint` or `gpu_model` in the profile",
    r"DeadLine": "it cannot end before its `--deadline`: see `slurm_extra`",
    r"ReservationDeleted": "its reservation is gone: set another `finecal-slurm-reservation` in the profile",
    r"DependencyNeverSatisfied": "it waits for a job that has failed: see `slurm_extra`",
}  # fmt: skip
# Of jobs that somebody can let start, or that wait for long.
LONG = {
    r"JobHeldUser": "it is held: `scontrol release {number}` lets it start",
    r"JobHeldAdmin|JobHoldMaxRequeue|JobLaunchFailure|(launch[ _]failed|job)[ _]requeued[ _](in[ _])?held([ _]state)?":
        "SLURM or an administrator holds it: ask them why, then `scontrol release {number}`, or "
        "`scancel {number}`, after which it is submitted anew",
    r"Reservation.*|ReqNodeNotAvail.*|NodeDown|FrontEndDown|Nodes? required.*":
        "nodes are reserved, as for maintenance, or down: `scontrol show reservation` and `sinfo --list-reasons` say "
        "until when; a shorter `runtime` may fit in before",
    r"Partition(Down|Inactive)": "the partition is closed: `sinfo` shows others for `partition` in the profile",
    r"(Assoc|QOS)Grp\w*Minutes\w*|\w*UsageThreshold": "the account's share of time is spent: take another account",
    r"(Assoc|QOS)\w*|Max\w+PerAccount|AccountingPolicy":
        "a limit on what runs at a time is reached; it starts when others end. If none of them runs, it asks for more "
        "than the limit: `--set-resources {rule}:mem_mb=…`, or another QoS or account in the profile",
    r"Power\w+": "the cluster's power is limited; it starts when others end",
    r"Licenses": "licences are in use; it starts when others give theirs back",
}  # fmt: skip
# What SLURM writes into the log of a job that took too much memory, with cgroups and without.
MEMORY = re.compile(r"exceeded (?:job |step )?memory limit|oom[-_ ]?kill|out[ -_]of[ -_]memory", re.I)
TIME = re.compile(r"DUE TO TIME LIMIT", re.I)
LINES = 4  # of SLURM's log that are shown


def is_usual(reason: str) -> bool:
    """Return whether jobs with a reason soon start by themselves."""
    return not reason or USUAL.fullmatch(reason) is not None


def is_final(reason: str) -> bool:
    """Return whether jobs with a reason never start as they are."""
    return any(re.fullmatch(pattern, reason, re.I) for pattern in FINAL)


def advice(reason: str, number: str, rule: str) -> str:
    """Return what a reason to wait means and what to do; empty where nothing is known of it."""
    for pattern, text in (FINAL | LONG).items():
        if re.fullmatch(pattern, reason, re.I):
            return text.format(number=number, rule=rule)
    return ""


def explain_failure(outcome: str, log: Path | None, rule: str, asked: Mapping[str, Any], used: str = "") -> str:
    """Return why SLURM has ended a job: the last lines of its log, what was asked and used, and what to change.

    Parameters
    ----------
    outcome
        How the job has ended in SLURM's words.
    log
        SLURM's own.
    asked
        Resources of Snakemake's job.
    used
        As far as accounting knows it.
    """
    lines = last_lines(log)
    parts = []
    if lines:
        parts.append("SLURM's log ends with:\n" + "\n".join(f"    {line}" for line in lines) + "\n")
    known = {"mem_mb": "{} MB", "runtime": "{} min", "gpu": "{} GPU"}
    amounts = [
        text.format(asked[name]) for name, text in known.items() if isinstance(asked.get(name), int) and asked[name]
    ]
    if amounts:
        parts.append(f"Asked for: {', '.join(amounts)}{f'; used: {used}' if used else ''}. ")
    said = "\n".join(lines)
    if outcome == "OUT_OF_MEMORY" or MEMORY.search(said):
        parts.append(f"It took more memory than it had: `--set-resources {rule}:mem_mb=…` gives more. ")
    elif outcome == "TIMEOUT" or TIME.search(said):
        parts.append(f"Its time was over: `--set-resources {rule}:runtime=…` gives more. ")
    return "".join(parts)


def was_ended(log: Path | None) -> bool:
    """Return whether SLURM's log says that the job took too much memory or time."""
    said = "\n".join(last_lines(log))
    return bool(MEMORY.search(said) or TIME.search(said))


def last_lines(log: Path | None) -> list[str]:
    """Return the last lines of a log; none where it is not there or empty."""
    try:
        text = "" if log is None else log.read_text("utf-8", errors="replace")[-4000:]
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LINES:]
