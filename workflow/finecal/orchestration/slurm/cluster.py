"""What SLURM asks of Snakemake's main process: checks before the first job, and order after a sudden death."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from finecal.errors import UserError, unknown
from finecal.orchestration.lock import others_at_work
from finecal.plan.stages import STAGES
from finecal.runtime.filesystem import IN_MEMORY, filesystem_type

SNAKEMAKE = Path(".snakemake")
LOGS = SNAKEMAKE / "slurm_logs"  # where the SLURM executor has its logs; by it a folder's jobs are known
SECONDS_TO_END = 180  # SLURM gives a cancelled job half a minute by default, sites give more
_logs_of_failed: list[Path] = []


# What does not end in its time goes on from its state at the next try.
RESUMABLE = tuple(stage.name for stage in STAGES.values() if stage.resumable)


class Asked(NamedTuple):
    """What jobs of a rule ask SLURM for: a partition by name or None, minutes or None."""

    rule: str
    partition: str | None
    minutes: int | None


def status_command() -> str:
    """How to ask for the state of jobs: sacct where SLURM keeps accounts, else squeue.

    sacct being installed says nothing; without a database behind it, it fails, and Snakemake would wait forever.
    """
    try:
        config = _output("scontrol", "show", "config")
    except (OSError, subprocess.SubprocessError):
        return "squeue"
    return "sacct" if re.search(r"^AccountingStorageType\s*=\s*accounting_storage/slurmdbd", config, re.M) else "squeue"


def tidy_up() -> None:
    """Before the first job: what a dead Snakemake has left is ended."""
    if others := others_at_work():
        if _jobs_of(Path.cwd()):
            _say(f"the jobs on the cluster may be those of {others}, so they are left alone")
        return
    cancel_left_jobs()


def cancel_left_jobs() -> None:
    """Cancel the jobs that a dead main process has left in this folder, and wait until they are gone.

    They would run beside those that are about to be submitted for the same outputs. Only to be called while no
    other main process is at work here.

    Raises
    ------
    UserError
        If they do not end.
    """
    left = _jobs_of(Path.cwd())
    if not left:
        return
    _say(
        f"the Snakemake that was at work here has died. Its {len(left)} job{'s' * (len(left) > 1)} on the cluster "
        f"({', '.join(left)}) will be cancelled; trainings save their state and go on in new jobs"
    )
    with suppress(subprocess.SubprocessError):  # it minds those that have just ended
        _output("scancel", *left)
    end = time.monotonic() + SECONDS_TO_END
    while still := set(left) & set(_jobs_of(Path.cwd())):
        if time.monotonic() > end:
            raise UserError(
                f"the jobs {', '.join(sorted(still))} of an earlier Snakemake do not end", where=str(Path.cwd()),
                why="Two jobs would write the same files",
                hint="Wait until `squeue --me` shows them no more, then start again",
            )  # fmt: skip
        time.sleep(1)


def note_failure(log: Path | None) -> None:
    """Keep in mind where the log of a SLURM job that has failed should be."""
    if log is not None:
        _logs_of_failed.append(log)


def explain_failure() -> None:
    """After a failure: if a SLURM job that has failed did not even begin its log, say what that means."""
    if missing := [log for log in _logs_of_failed if not log.exists()]:
        _say(_invisible(Path.cwd(), f"A job that failed has not written its log, {missing[0]}"))


def check_slurm(partitions: Iterable[str]) -> None:
    """Find out before the first job what would make every job fail.

    Parameters
    ----------
    partitions
        The partitions that the jobs ask for by name.

    Raises
    ------
    UserError
        If there is no `sbatch`, SLURM does not answer, a partition is unknown, or the working directory lies in
        this machine's memory.
    """
    where = "profiles/slurm"
    if shutil.which("sbatch") is None:
        raise UserError(
            "there is no `sbatch` on the PATH", where=where, why="Jobs are submitted with it",
            hint="Start on a login node of the cluster, or load its module first (often `module load slurm`)",
        )  # fmt: skip
    try:
        known = [name for name in partition_limits() if name]
    except (OSError, subprocess.SubprocessError) as error:
        raise _no_answer(error, "sinfo") from error
    for partition in (name for several in partitions for name in several.split(",")):
        if partition not in known:
            error_ = unknown("partition", partition, known, where=f"{where}: slurm_partition")
            raise UserError(
                error_.what, where=error_.where, why=error_.why, hint="Leave it out to use the default partition"
            )
    if (kind := filesystem_type(Path.cwd())) in IN_MEMORY:
        raise _invisible(Path.cwd(), f"It lies in this machine's memory ({kind})")


def check_time(asked: Iterable[Asked]) -> None:
    """Find out which jobs would wait for ever because they ask for more time than their partition grants any job.

    Trainings get what is granted and go on at the next try, so of them it is only said.

    Raises
    ------
    UserError
        If there are other such jobs. Only the first try counts: later ones are cut to what is granted.
    """
    beyond = sorted({(job.rule, job.minutes, limit) for job in asked if (limit := _too_long(job)) is not None})
    for rule, minutes, limit in beyond:
        if rule in RESUMABLE:
            _say(
                f"{rule} asks for {minutes} minutes, its partition grants {limit}: a training that does not end in "
                "them goes on from its state at the next try (`--retries` says how many there are)"
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


def _too_long(job: Asked) -> int | None:
    limit = longest(job.partition)
    return limit if limit is not None and (job.minutes or 0) > limit else None


def longest(partition: str | None) -> int | None:
    """Minutes that a partition (or the most generous of "a,b", or the default one) grants a job at most.

    None for no limit, an unknown partition, or where SLURM does not answer.
    """
    try:
        limits = partition_limits()
    except (OSError, subprocess.SubprocessError):
        return None
    granted = [limits.get(name) for name in (partition or "").split(",")]
    return None if None in granted else max(limit for limit in granted if limit is not None)


@cache
def partition_limits() -> dict[str, int | None]:
    """Name of each partition → minutes that it grants at most, None for no limit; the default one also as "".

    SLURM is asked once, for hidden partitions too.
    """
    found: dict[str, int | None] = {}
    for line in _output("sinfo", "--all", "--noheader", "--format=%P|%l").splitlines():
        name, _, limit = line.strip().partition("|")
        found[name.removesuffix("*")] = minutes(limit)
        if name.endswith("*"):
            found[""] = minutes(limit)
    return found


def minutes(limit: str) -> int | None:
    """Whole minutes of a time as SLURM writes it, [days-][hours:]minutes:seconds; None for `infinite` and the like.

    >>> minutes("1-02:30:00"), minutes("30:00"), minutes("infinite")
    (1590, 30, None)
    """
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if match is None:
        return None
    days, hours, rest, _ = (int(part or 0) for part in match.groups())
    return (24 * days + hours) * 60 + rest


def _invisible(folder: Path, why: str) -> UserError:
    return UserError(
        "compute nodes do not see the working directory", where=str(folder), why=why,
        hint="Work in a folder that all nodes share (often in $HOME or on scratch): `--directory DIR`",
    )  # fmt: skip


def _say(message: object) -> None:
    print(f"finecal: {message}", file=sys.stderr, flush=True)


def _jobs_of(folder: Path) -> list[str]:
    """My jobs, waiting or running, whose logs lie in a folder: those that a Snakemake submitted there.

    Raises
    ------
    UserError
        If SLURM does not answer.
    """
    try:
        jobs = _output("squeue", "--me", "--noheader", "--Format=JobID:24,STDOUT:4096").splitlines()
    except (OSError, subprocess.SubprocessError) as error:
        raise _no_answer(error, "squeue") from error
    return [job[:24].strip() for job in jobs if job[24:].startswith(f"{folder / LOGS}/")]


def _no_answer(error: OSError | subprocess.SubprocessError, program: str) -> UserError:
    """What to say after one of SLURM's commands has failed."""
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return UserError(
        f"SLURM does not answer: {lines[-1] if lines else 'no reason given'}", where="profiles/slurm",
        hint=f"`{program}` must work here; then start again",
    )  # fmt: skip


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
