"""What SLURM asks of Snakemake's main process: checks before the first job, and order after a sudden death."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from finecal.errors import UserError, unknown
from finecal.lock import others_at_work

SNAKEMAKE = Path(".snakemake")
LOGS = SNAKEMAKE / "slurm_logs"  # where the SLURM executor has its logs; by it a folder's jobs are known
SECONDS_TO_END = 180  # SLURM gives a cancelled job half a minute by default, sites give more


def status_command() -> str:
    """How to ask for the state of jobs: sacct where SLURM keeps accounts, else squeue.

    sacct being installed says nothing; without a database behind it, it fails, and Snakemake would wait forever.
    """
    try:
        config = _output("scontrol", "show", "config")
    except (OSError, subprocess.SubprocessError):
        return "squeue"
    return "sacct" if re.search(r"^AccountingStorageType\s*=\s*accounting_storage/slurmdbd", config, re.M) else "squeue"


def prepare(partitions: Iterable[str]) -> None:
    """Before the first job: what would make every job fail is an error, what a dead Snakemake has left is ended."""
    check_slurm(partitions)
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


def explain_failure(started: float) -> None:
    """After a failure: if no job has written a log since `started`, say what that means."""
    if not any(log.stat().st_mtime >= started for log in LOGS.rglob("*.log")):
        _say(_invisible(Path.cwd(), f"No job has written its log to {LOGS}"))


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
        known = _output("sinfo", "--noheader", "--format=%R").split()
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
        raise UserError(
            f"SLURM does not answer: {reason}", where=where, hint="`sinfo` must work here; then start again"
        ) from error
    for partition in partitions:
        if partition not in known:
            error_ = unknown("partition", partition, known, where=f"{where}: slurm_partition")
            raise UserError(
                error_.what, where=error_.where, why=error_.why, hint="Leave it out to use the default partition"
            )
    if (kind := _filesystem(Path.cwd())) in ("tmpfs", "ramfs"):
        raise _invisible(Path.cwd(), f"It lies in this machine's memory ({kind})")


def _invisible(folder: Path, why: str) -> UserError:
    return UserError(
        "compute nodes do not see the working directory", where=str(folder), why=why,
        hint="Work in a folder that all nodes share (often in $HOME or on scratch): `--directory DIR`",
    )  # fmt: skip


def _say(message: object) -> None:
    print(f"finecal: {message}", file=sys.stderr, flush=True)


def _filesystem(folder: Path) -> str:
    """The type of the file system that a folder lies on; empty where there is no /proc."""
    best, kind = "", ""
    try:
        lines = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        _, place, found, *_ = line.split()
        if folder.is_relative_to(place) and len(place) >= len(best):
            best, kind = place, found
    return kind


def _jobs_of(folder: Path) -> list[str]:
    """My jobs, waiting or running, whose logs lie in a folder: those that a Snakemake submitted there."""
    jobs = _output("squeue", "--me", "--noheader", "--Format=JobID:24,STDOUT:4096").splitlines()
    return [job[:24].strip() for job in jobs if job[24:].startswith(f"{folder / LOGS}/")]


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
