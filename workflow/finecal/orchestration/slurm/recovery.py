"""What a main process that was killed has left on the cluster, and failures whose reason is not in any log."""

from __future__ import annotations

import getpass
import pwd
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import SubprocessError
from typing import Any, NamedTuple

from finecal.errors import UserError, counted
from finecal.orchestration.lock import others_at_work
from finecal.orchestration.slurm.adoption import LeftJob, find_left
from finecal.orchestration.slurm.commands import NO_ANSWER, no_answer_error, print_message, run_command

LOGS = Path(
    ".snakemake/slurm_logs"
)  # the plugin's default folder of logs; by it the jobs of a working directory are known
_left: list[LeftJob] = []
SECONDS_TO_END = 180  # SLURM gives a cancelled job half a minute by default, sites give more


def tidy_up(jobs: Iterable[Any]) -> None:
    """Take over or cancel what a main process that was killed has left on the cluster, unless others are at work here.

    Parameters
    ----------
    jobs
        Snakemake's that are about to run.

    Raises
    ------
    UserError
        If jobs of other people work in this folder, or those that are cancelled do not end.
    """
    logs = Path.cwd() / LOGS
    queued = find_queued(logs)
    if others := others_at_work():
        if queued:
            print_message(f"the jobs on the cluster may be those of {others}, so they are left alone")
        return
    own = getpass.getuser()
    if foreign := [job for job in queued if job.user != own]:
        users = ", ".join(sorted({job.user for job in foreign}))
        raise UserError(
            f"jobs of {users} are at work in this folder ({', '.join(job.number for job in foreign)})",
            where=str(Path.cwd()), why="Two jobs would write the same files",
            hint=f"Wait until `squeue --user {users.replace(' ', '')}` shows them no more: what they have made by then "
            "is taken as it is. Or ask for them to be cancelled",
        )  # fmt: skip
    living = {job.log.parent: (job.number, job.name) for job in queued}
    _left[:] = find_left(jobs, logs, living)
    followed = [one.number for one in _left if one.number]
    if followed:
        print_message(
            f"the Snakemake that was at work here has died. Its {_count(followed)} on the cluster "
            f"({', '.join(followed)}) keep{'s' * (len(followed) == 1)} going or waiting and will be followed from here"
        )
    cancel_left_jobs([job.number for job in queued if job.number not in followed])


def take_left() -> list[LeftJob]:
    """Return, once, the SLURM jobs that are to be followed from here."""
    found = [*_left]
    _left.clear()
    return found


def cancel_left_jobs(left: Sequence[str]) -> None:
    """Cancel the jobs that were submitted in this folder before, and wait until they are gone.

    They would run beside those that are about to be submitted for the same outputs. Only to be called while no
    other main process is at work here.

    Raises
    ------
    UserError
        If they do not end.
    """
    if not left:
        return
    print_message(
        f"the Snakemake that was at work here has died. Its {_count(left)} on the cluster "
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


def _count(numbers: Sequence[str]) -> str:
    return f"{counted(len(numbers), 'job')}"


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
    own = getpass.getuser()
    return [job.number for job in find_queued(folder) if job.user == own]


class QueuedJob(NamedTuple):
    """A job that waits or runs, in squeue's words."""

    number: str
    user: str
    name: str
    state: str
    reason: str
    start: str  # when it has started or is expected to
    node: str
    restarts: str
    left: str
    log: Path  # resolved; SLURM may print its name as it was asked for


# Fields of squeue and their widths, in the order of the attributes above.
COLUMNS = {
    "JobID": 24, "UserName": 64, "Name": 128, "State": 16, "Reason": 64, "StartTime": 32, "NodeList": 64,
    "RestartCnt": 8, "TimeLeft": 24, "STDOUT": 4096,
}  # fmt: skip


def find_queued(folder: Path) -> list[QueuedJob]:
    """Return the jobs, waiting or running, whose logs lie in a folder: the user's, and those of all who wrote there.

    Raises
    ------
    UserError
        If SLURM does not answer.
    """
    users = sorted({getpass.getuser(), *_writers(folder)})
    columns = ",".join(f"{name}:{width}" for name, width in COLUMNS.items())
    try:
        lines = run_command("squeue", f"--user={','.join(users)}", "--noheader", f"--Format={columns}").splitlines()
    except NO_ANSWER as error:
        raise no_answer_error(error, "squeue") from error
    place, found = folder.resolve(), []
    for line in lines:
        cells = []
        for width in COLUMNS.values():
            cells.append(line[:width].strip())
            line = line[width:]
        *known, log = cells
        # Of two ways to the same folder, as through a link, SLURM may know the other one.
        whole = Path(log).parent.resolve() / Path(log).name
        if whole.is_relative_to(place):
            found.append(QueuedJob._make([*known, whole]))
    return found


def _writers(folder: Path) -> set[str]:
    """Return the names of those who own what lies in a folder of logs."""
    names = set()
    for one in folder.glob("*/*"):
        with suppress(OSError, KeyError):
            names.add(pwd.getpwuid(one.stat().st_uid).pw_name)
    return names
