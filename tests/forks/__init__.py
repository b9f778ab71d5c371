"""Commands as forks of a process that has done the imports, for tests that look only at what they make or say.

server.py is that process, client.py asks it. Here it is started, once for each process of tests. The warm process that
a forked Snakemake starts for its jobs is finecal's own, but a fork, too.
"""

from __future__ import annotations

import atexit
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

__all__ = ["PROGRAMS", "Started", "for_jobs", "run", "start"]

LONGEST = 600.0  # seconds for a command
PROGRAMS = ("finecal", "snakemake")
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
    folder, _ = _started(_read_by_imports(environment))
    return {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}", ADDRESS: str(folder / "socket")}


def _read_by_imports(environment: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Settings that a library reads when it is imported, those of the hub: each choice needs a server of its own."""
    return frozenset((name, value) for name, value in environment.items() if name.startswith("HF_"))


@cache
def _started(read_by_imports: frozenset[tuple[str, str]]) -> tuple[Path, subprocess.Popen[bytes]]:
    """A folder with the server's socket and programs, and the server, which ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="forks-"))
    atexit.register(shutil.rmtree, folder)
    here = Path(__file__).parent
    ask = f'"{sys.executable}" -SE "{here / "client.py"}"'
    # First on the PATH, they run in forks. That they are of the Python beside them is what finecal looks for.
    programs = {name: f'#!/bin/sh\n# {folder}/python\nexec {ask} {name} "$@"\n' for name in PROGRAMS}
    # What a fork takes for its Python: modules of finecal, such as the warm process, and parts of benchmarks are forks.
    programs["python"] = PYTHON.format(client=ask, python=sys.executable, launcher=LAUNCHER)
    for name, script in programs.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    environment = {**os.environ, **dict(read_by_imports), "CUDA_VISIBLE_DEVICES": ""}
    server = subprocess.Popen(
        [sys.executable, here / "server.py", folder / "socket"], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return folder, server
