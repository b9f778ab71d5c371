"""Commands as forks of a process that has done the imports, for tests that look only at what they make or say.

server.py is that process, client.py asks it. Here it is started, once for each process of tests. The warm process that
a forked Snakemake starts for its jobs is finecal's own, but a fork, too.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from forks import client
from forks.client import ADDRESS

__all__ = ["PROGRAMS", "for_jobs", "run"]

LONGEST = 600.0  # seconds for a command
PROGRAMS = ("finecal", "snakemake")
PYTHON = """#!/bin/sh
case "$*" in
    "-P -m finecal."* | *.py" --child") exec {client} python "$@" ;;
    "-m finecal.cli "*) shift 2; exec {client} finecal "$@" ;;
    "-m snakemake "*) shift 2; exec {client} snakemake "$@" ;;
    *) exec "{python}" "$@" ;;
esac
"""


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit status of `finecal …`, `snakemake …` or `python FILE …`, run in a folder, and what it has said."""
    changed = for_jobs(environment)
    with tempfile.TemporaryFile("w+") as output, Path(os.devnull).open() as nothing:
        files = (nothing.fileno(), output.fileno(), output.fileno())
        status = client.run(changed[ADDRESS], command, str(folder), changed, files, LONGEST)
        output.seek(0)
        return status, output.read()


def for_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which `finecal` and `snakemake` are forks, too."""
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
    programs["python"] = PYTHON.format(client=ask, python=sys.executable)
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
