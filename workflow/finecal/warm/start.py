"""Start the warm process, and make jobs find it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from finecal.errors import UserError
from finecal.warm.place import PROGRAM, make_place

# What Snakemake sets for the libraries of a job.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "GOTO_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)  # fmt: skip
PATIENCE = 5.0  # seconds for the process to end: it may be about to import torch


def environment_of_jobs(threads: int = 1) -> dict[str, str]:
    """Return this process's environment with what Snakemake sets for a job of so many threads.

    matplotlib's backend is not that of a notebook that may have started Snakemake.
    """
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "MPLBACKEND": "agg"}


@contextmanager
def started(stages: Iterable[str], environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Start a warm process for the jobs of some stages; it ends with the block, or with this process.

    Parameters
    ----------
    stages
        Their names.
    environment
        That in which jobs will run. Jobs with other settings of libraries get a process of their own.

    Yields
    ------
    The environment in which `finecal` is the client of the warm process; that given where there can be none, which a
    line says unless it is known beforehand.
    """
    program = shutil.which(PROGRAM, path=environment.get("PATH"))
    if not _can_fork() or program is None or Path(program).parent != Path(sys.executable).parent:
        yield dict(environment)
        return
    try:
        folder, process, changed = _start(program, stages, environment)
    except (OSError, UserError) as error:
        print(f"finecal: there is no warm process, each job starts by itself: {error}", file=sys.stderr, flush=True)
        yield dict(environment)
        return
    try:
        yield changed
    finally:
        _end(process)  # forks that still run tell their clients themselves how they end
        shutil.rmtree(folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let the process end with its input, so that it waits for its second one, whose CPU time then counts, too."""
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _can_fork() -> bool:
    """Return whether this system has what server.py and client.py use. On macOS its libraries forbid forks."""
    return sys.platform == "linux"


def _start(
    program: str, stages: Iterable[str], environment: Mapping[str, str]
) -> tuple[Path, subprocess.Popen[bytes], dict[str, str]]:
    """Start the process; clients may connect at once, and wait until it has imported what they need.

    Returns
    -------
    The folder in which clients find it, the process, and the environment of jobs.
    """
    folder, listener = make_place(program)
    changed = {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}"}
    with listener:
        try:
            # In a process group of its own: signals of a terminal go to the clients, which pass them on.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "finecal.warm.server", str(listener.fileno()), str(folder), *stages],
                env=changed, pass_fds=[listener.fileno()], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                process_group=0,
            )  # fmt: skip
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder, process, changed
