"""Commands as forks of a process that has done the imports, for tests that look only at what they make or say.

server.py is that process, client.py asks it. Here it is started, once for all processes of tests. The warm process that
a forked Snakemake starts for its jobs is finecal's own, but a fork, too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from forks import client
from forks.client import ADDRESS

__all__ = ["PROGRAMS", "SERVERS", "Started", "for_jobs", "run", "start"]

LONGEST = 600.0  # seconds for a command
PROGRAMS = ("finecal", "snakemake")
SERVERS = "FINECAL_FORK_SERVERS"  # in the environment: the folder of all servers of a run of pytest
KEPT = "kept"  # a named pipe, the server's standard input: whoever uses the server holds it open
PYTHON = """#!/bin/sh
case "$*" in
    "-P -m finecal."* | *.py" --child"* | *.py" --run="*) exec {client} python "$@" ;;
    "-m finecal.orchestration.slurm.launcher "*) shift 2; exec "{python}" -c '{launcher}' "$@" ;;
    "-m finecal.cli "*) shift 2; exec {client} finecal "$@" ;;
    "-m snakemake "*) shift 2; exec {client} snakemake "$@" ;;
    *) exec "{python}" "$@" ;;
esac
"""

# What a SLURM job starts is a process, which SLURM can signal; to it, too, the program above is its Python.
LAUNCHER = """
import os, runpy, sys
sys.executable = os.path.join(os.path.dirname(os.environ["FINECAL_FORKS"]), "python")
runpy.run_module("finecal.orchestration.slurm.launcher", run_name="__main__", alter_sys=True)
"""


class Started:
    """A command that was started, with what a `Popen` has; it is killed if nobody holds this any more."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.returncode: int | None = None

    def wait(self, seconds: float | None = None) -> int:
        """Wait for its end; its exit status."""
        if self.returncode is None:
            self._connection.settimeout(seconds)
            self.returncode = int(self._connection.recv(16) or -signal.SIGKILL)
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its exit status if it has ended."""
        with suppress(BlockingIOError):
            self.wait(0)
        return self.returncode

    def kill(self) -> None:
        """Kill it alone, as `Popen` does."""
        self._connection.close()
        self.returncode = -signal.SIGKILL


def start(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], output: IO[Any], *, jobs: bool = True
) -> Started:
    """Start `finecal …`, `snakemake …` or `python FILE …` in a folder.

    Parameters
    ----------
    jobs
        Whether `finecal` and `snakemake` that it starts are forks, too.
    """
    changed = for_jobs(environment)
    given = changed if jobs else environment
    with Path(os.devnull).open() as nothing:
        files = (nothing.fileno(), output.fileno(), output.fileno())
        return Started(client.ask(changed[ADDRESS], command, str(folder), given, files))


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit status of `finecal …`, `snakemake …` or `python FILE …`, run in a folder, and what it has said."""
    with tempfile.TemporaryFile("w+") as output:
        status = start(command, folder, environment, output).wait(LONGEST)
        output.seek(0)
        return status, output.read()


def for_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which `finecal` and `snakemake` are forks, too; of the same process if this one is a fork."""
    if ADDRESS in environment and _read_by_imports(environment) == _read_by_imports(os.environ):
        return dict(environment)
    folder, _ = _served(_read_by_imports(environment))
    return {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}", ADDRESS: str(folder / "socket")}


def _read_by_imports(environment: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Settings that a library reads when it is imported, those of the hub: each choice needs a server of its own."""
    return frozenset((name, value) for name, value in environment.items() if name.startswith("HF_"))


@cache
def _served(read_by_imports: frozenset[tuple[str, str]]) -> tuple[Path, object]:
    """A folder with the socket and programs of a server, and what keeps it: it ends when no process of tests does.

    All of them use the same, which the first of them starts in the folder that tests/conftest.py has made.
    """
    name = hashlib.sha256(repr(sorted(read_by_imports)).encode()).hexdigest()[:16]
    folder = Path(os.environ[SERVERS], name)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return folder, os.open(folder / KEPT, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody has started it, or who has was the last one and has ended
            shutil.rmtree(folder, ignore_errors=True)
        _write_programs(folder)
        os.mkfifo(folder / KEPT)
        return folder, _started(folder, read_by_imports)


def _write_programs(folder: Path) -> None:
    """First on the PATH, they run in forks. That they are of the Python beside them is what finecal looks for."""
    ask = f'"{sys.executable}" -SE "{Path(client.__file__)}"'
    programs = {name: f'#!/bin/sh\n# {folder}/python\nexec {ask} {name} "$@"\n' for name in PROGRAMS}
    # What a fork takes for its Python: modules of finecal, such as the warm process, and parts of benchmarks are forks.
    programs["python"] = PYTHON.format(client=ask, python=sys.executable, launcher=LAUNCHER)
    folder.mkdir()
    for name, script in programs.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)


def _started(folder: Path, read_by_imports: frozenset[tuple[str, str]]) -> tuple[int, subprocess.Popen[bytes]]:
    """Start a server; what keeps it, to be held open, and the server."""
    environment = {**os.environ, **dict(read_by_imports), "CUDA_VISIBLE_DEVICES": ""}
    reading = os.open(folder / KEPT, os.O_RDONLY | os.O_NONBLOCK)
    kept = os.open(folder / KEPT, os.O_WRONLY)
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("server.py"), folder / "socket"], env=environment,
        stdin=reading, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    os.close(reading)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return kept, server
