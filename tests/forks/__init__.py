"""Commands as forks of a process that has done the imports, for tests that look only at what they make or say.

server.py is that process, client.py asks it. Here it is started, once for each process of tests.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from forks.client import ADDRESS, run

__all__ = ["address", "for_jobs", "run"]


def address() -> str:
    """The socket of this process's server."""
    return str(_started(_read_by_imports(os.environ))[0] / "socket")


def for_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which the jobs of a Snakemake are forks, too."""
    folder, _ = _started(_read_by_imports(environment))
    return {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}", ADDRESS: str(folder / "socket")}


def _read_by_imports(environment: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Settings that a library reads when it is imported, those of the hub: each choice needs a server of its own."""
    return frozenset((name, value) for name, value in environment.items() if name.startswith("HF_"))


@cache
def _started(read_by_imports: frozenset[tuple[str, str]]) -> tuple[Path, subprocess.Popen[bytes]]:
    """A folder with the server's socket and a program `finecal`, and the server, which ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="forks-"))
    atexit.register(shutil.rmtree, folder)
    here = Path(__file__).parent
    program = folder / "finecal"  # first on the PATH of a Snakemake, it runs all jobs in forks
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -SE "{here / "client.py"}" "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, **dict(read_by_imports), "CUDA_VISIBLE_DEVICES": ""}
    server = subprocess.Popen(
        [sys.executable, here / "server.py", folder / "socket"], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return folder, server
