"""Start the warm process, and make jobs find it."""

from __future__ import annotations

import os
import py_compile
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

CLIENT = Path(__file__).with_name("client.py")
PROGRAM = "finecal"
# What Snakemake sets for the libraries of a job.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "GOTO_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)  # fmt: skip
PATIENCE = 5.0  # seconds for the process to end: it may be about to import torch
LONGEST = 100  # bytes of a socket's path; the kernel takes 107


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
    The environment in which `finecal` is the client of the warm process; that given where there can be none.
    """
    program = shutil.which(PROGRAM, path=environment.get("PATH"))
    if not _can_fork() or program is None or Path(program).parent != Path(sys.executable).parent:
        yield dict(environment)
        return
    folder = Path(tempfile.mkdtemp(prefix="finecal-warm-"))
    address = folder / "socket"
    if len(os.fsencode(address)) > LONGEST or not _write_client(folder / PROGRAM, address, program):
        shutil.rmtree(folder, ignore_errors=True)
        yield dict(environment)
        return
    changed = {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}"}
    process = _start(folder, address, stages, changed)
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


def _write_client(path: Path, address: Path, program: str) -> bool:
    """Write the program `finecal`; return whether it can be run, which some file systems forbid."""
    compiled = path.with_name("client.pyc")  # Python would compile a script in every job
    py_compile.compile(str(CLIENT), str(compiled), doraise=True)
    command = shlex.join([sys.executable, "-IS", str(compiled), str(address), program])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o700)
    return os.access(path, os.X_OK)


def _start(folder: Path, address: Path, stages: Iterable[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the process; clients may connect at once, and wait until it has imported everything."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen(socket.SOMAXCONN)
        number = listener.fileno()
        # In a process group of its own: signals of a terminal go to the clients, which pass them on.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "finecal.warm.server", str(number), str(folder), *stages],
            env=environment, pass_fds=[number], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0,
        )  # fmt: skip
