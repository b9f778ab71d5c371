"""What a main process that was killed has left on the cluster, and failures whose reason is not in any log."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from subprocess import SubprocessError

from finecal.errors import UserError
from finecal.orchestration.lock import others_at_work
from finecal.orchestration.slurm.commands import NO_ANSWER, no_answer_error, print_message, run_command

LOGS = Path(
    ".snakemake/slurm_logs"
)  # the plugin's default folder of logs; by it the jobs of a working directory are known
SECONDS_TO_END = 180  # SLURM gives a cancelled job half a minute by default, sites give more


def tidy_up() -> None:
    """Cancel what a main process that was killed has left on the cluster, unless others are at work in this folder."""
    if others := others_at_work():
        if find_jobs(Path.cwd() / LOGS):
            print_message(f"the jobs on the cluster may be those of {others}, so they are left alone")
        return
    cancel_left_jobs()


def cancel_left_jobs() -> None:
    """Cancel the jobs that were submitted in this folder before, and wait until they are gone.

    They would run beside those that are about to be submitted for the same outputs. Only to be called while no
    other main process is at work here.

    Raises
    ------
    UserError
        If they do not end.
    """
    left = find_jobs(Path.cwd() / LOGS)
    if not left:
        return
    print_message(
        f"the Snakemake that was at work here has died. Its {len(left)} job{'s' * (len(left) > 1)} on the cluster "
        f"({', '.join(left)}) will be cancelled; trainings save their state and go on in new jobs"
    )
    with suppress(SubprocessError):  # scancel fails for jobs that have just ended
        run_command("scancel", *left)
    end = time.monotonic() + SECONDS_TO_END
    while still := set(left) & set(find_jobs(Path.cwd() / LOGS)):
        if time.monotonic() > end:
            raise UserError(
                f"the jobs {', '.join(sorted(still))} of an earlier Snakemake do not end", where=str(Path.cwd()),
                why="Two jobs would write the same files",
                hint="Wait until `squeue --me` shows them no more, then start again",
            )  # fmt: skip
        time.sleep(1)


def explain_missing_logs(logs: Iterable[Path]) -> None:
    """Print what it means if a failed SLURM job did not even begin its log.

    Parameters
    ----------
    logs
        Where the logs of failed jobs should be.
    """
    if missing := [log for log in logs if not log.exists()]:
        print_message(invisible_folder_error(Path.cwd(), f"A job that failed has not written its log, {missing[0]}"))


def invisible_folder_error(folder: Path, why: str) -> UserError:
    """Return the error of a working directory that only this machine sees."""
    return UserError(
        "compute nodes do not see the working directory", where=str(folder), why=why,
        hint="Work in a folder that all nodes share (often in $HOME or on scratch): `--directory DIR`",
    )  # fmt: skip


def find_jobs(folder: Path) -> list[str]:
    """Return the numbers of the user's jobs, waiting or running, whose logs lie in a folder.

    Raises
    ------
    UserError
        If SLURM does not answer.
    """
    try:
        jobs = run_command("squeue", "--me", "--noheader", "--Format=JobID:24,STDOUT:4096").splitlines()
    except NO_ANSWER as error:
        raise no_answer_error(error, "squeue") from error
    return [job[:24].strip() for job in jobs if job[24:].startswith(f"{folder}/")]
