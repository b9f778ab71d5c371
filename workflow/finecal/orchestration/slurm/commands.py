"""SLURM's commands, called from Snakemake's main process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from finecal.errors import UserError

# What a command raises that is not there, fails, or does not answer in time.
NO_ANSWER = (OSError, subprocess.SubprocessError)
# Variables with a user's own options for SLURM's commands, as in a shell's start-up file: of which jobs and partitions
# `squeue` and `sinfo` tell, and how; whether `scancel` asks first; what the memory that a job asks for contradicts.
# Others, as for who pays, hold where the profile says nothing.
OPTIONS_OF_USER = re.compile(
    r"(SQUEUE|SINFO|SACCT|SCANCEL|SCONTROL)_\w+|SLURM_(TIME_FORMAT|BITSTR_LEN)|SBATCH_(ARRAY_INX|WAIT|MEM_PER_(CPU|GPU))"
)


def run_command(*command: str) -> str:
    """Return the standard output of a command.

    Raises
    ------
    OSError, subprocess.SubprocessError
        If there is no such command, it fails, or it takes more than a minute.
    """
    plain = plain_environment()
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=plain).stdout


def plain_environment() -> dict[str, str]:
    """Return the environment without a user's own options for SLURM's commands."""
    return {name: value for name, value in os.environ.items() if not OPTIONS_OF_USER.fullmatch(name)}


def drop_options_of_user() -> None:
    """Remove such options from this process, for what the plugin asks SLURM."""
    for name in os.environ.keys() - plain_environment().keys():
        del os.environ[name]


def no_answer_error(error: OSError | subprocess.SubprocessError, program: str) -> UserError:
    """Return what to tell the user after one of SLURM's commands has failed."""
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return UserError(
        f"SLURM does not answer: {lines[-1] if lines else 'no reason given'}", where="profiles/slurm",
        hint=f"`{program}` must work here; then start again",
    )  # fmt: skip


@contextmanager
def without_scontrol() -> Iterator[None]:
    """Let `scontrol` be not there for those who call it by subprocess.check_output."""
    known = subprocess.check_output

    def refuse(command: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(command, str) and command[0] == "scontrol":
            raise FileNotFoundError(command[0])
        return known(command, *arguments, **options)

    subprocess.check_output = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        subprocess.check_output = known


@cache
def show_config() -> str:
    """Return SLURM's configuration, asked for once; empty if it does not answer.

    The Snakemake of a job, which reads the profile, too, where $SNAKEMAKE_PROFILE names it, does not ask.
    """
    if "--mode" in sys.argv:
        return ""
    try:
        return run_command("scontrol", "show", "config")
    except NO_ANSWER:
        return ""


def status_command() -> str:
    """Return the command that tells the state of jobs: sacct where SLURM keeps accounts, else squeue.

    sacct may be installed without a database behind it; then it fails, and Snakemake would wait for ever.
    """
    keeps = re.search(r"^AccountingStorageType\s*=\s*accounting_storage/slurmdbd", show_config(), re.M)
    return "sacct" if keeps else "squeue"


def min_job_age() -> int | None:
    """Return the seconds for which squeue remembers a job that has ended; None where SLURM does not say."""
    found = re.search(r"^MinJobAge\s*=\s*(\d+)", show_config(), re.M)
    return int(found[1]) if found else None


def cluster_name() -> str:
    """Return this cluster's name; empty where SLURM does not say."""
    found = re.search(r"^ClusterName\s*=\s*(\S+)", show_config(), re.M)
    return found[1] if found else ""


def print_message(message: object) -> None:
    """Print a message of finecal among those of Snakemake."""
    print(f"finecal: {message}", file=sys.stderr, flush=True)
