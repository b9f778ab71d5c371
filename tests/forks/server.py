"""A process that has imported Snakemake and the large libraries once and forks for each command: `server.py SOCKET`.

The imports take several seconds; a dry run, a refused input and a small job take less than one. It says `ready`, does
what client.py asks for, and ends with its standard input. A command is `snakemake …`, `finecal …`, `python FILE …` or
`python -P -m MODULE …`. It has a folder, an environment and open files of its own; what asks is told its exit status.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# What is imported stays, so no garbage is looked for among it: not now, and not by the forks, which would write to all
# of its pages.
gc.disable()
import filecmp  # noqa: F401, E402
import graphlib  # noqa: F401, E402

import altair  # noqa: F401, E402
import argparse_dataclass  # noqa: F401, E402
import matplotlib.backends.backend_agg  # noqa: E402
import matplotlib.backends.backend_svg  # noqa: F401, E402
import pandas  # noqa: F401, E402
import platformdirs  # noqa: F401, E402
import pyarrow.dataset  # noqa: E402
import pyarrow.parquet  # noqa: F401, E402
import requests  # noqa: F401, E402
import seaborn  # noqa: F401, E402
import sklearn.decomposition  # noqa: E402
import sklearn.manifold  # noqa: F401, E402
import smart_open  # noqa: F401, E402
import timm.optim  # noqa: F401, E402
import torch._dynamo  # noqa: F401, E402 - torch does, for its first optimiser

# Snakemake imports all executor plugins, finecal's too. Each fork is to find that of the sources it is asked to use.
everywhere = sys.path.copy()
sys.path = [folder for folder in everywhere if not Path(folder, "finecal").is_dir()]
import snakemake.cli  # noqa: E402
import snakemake.profiles  # noqa: E402
import snakemake.storage  # noqa: E402
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry  # noqa: E402
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry  # noqa: E402
from snakemake_interface_report_plugins.registry import ReportPluginRegistry  # noqa: E402
from snakemake_interface_scheduler_plugins.registry import SchedulerPluginRegistry  # noqa: E402
from snakemake_interface_storage_plugins.registry import StoragePluginRegistry  # noqa: E402

ExecutorPluginRegistry()
LoggerPluginRegistry()
ReportPluginRegistry()
SchedulerPluginRegistry()
StoragePluginRegistry()
sys.path = everywhere

# As in client.py.
ADDRESS, SURROUNDINGS = "FINECAL_FORKS", "FINECAL_SURROUNDINGS"
LARGEST = 2**20  # bytes of a request


def _run(request: dict[str, Any], files: list[int]) -> int:
    """The exit status, in a process that then ends."""
    for target, file in enumerate(files[:3]):
        os.dup2(file, target)
        os.close(file)
    # As Python opens them at its start: those of before know what the server's own output was.
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace", buffering=1)  # noqa: SIM115
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if "PYTHONPATH" in os.environ:
        sys.path.insert(0, os.environ["PYTHONPATH"])
    try:
        _become(request["command"], files[3:])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _become(command: list[str], listeners: list[int]) -> None:
    program, *words = sys.argv = command
    if program == "finecal":
        importlib.import_module("finecal.cli").main()
        return
    if ADDRESS in os.environ:  # else what it starts are processes of their own
        sys.executable = str(Path(os.environ[ADDRESS]).with_name("python"))
    if program == "snakemake":
        ExecutorPluginRegistry().collect_plugins()
        snakemake.cli.main()
    elif words[0] in ("-m", "-P"):
        module, *words = words[words.index("-m") + 1 :]
        if listeners:
            words[0] = str(listeners[0])  # the number that it has here
            surroundings = bytes.fromhex(os.environ.pop(SURROUNDINGS))
            importlib.import_module("finecal.warm.client").surroundings = lambda: surroundings
        sys.argv = [module, *words]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).parent))
        runpy.run_path(words[0], run_name="__main__")


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks: who has asked is told
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        gc.freeze()
        gc.enable()
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork():
                connection.close()
            else:
                os.setsid()  # Linux divides the processor among sessions first: each command counts, as SLURM's jobs do
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                message, files, *_ = socket.recv_fds(connection, LARGEST, 4)
                with _killed_with(connection):
                    status = _run(json.loads(message), files)
                with suppress(OSError):  # who has asked was killed
                    connection.send(str(status).encode())
                os._exit(0)


@contextmanager
def _killed_with(connection: socket.socket) -> Iterator[None]:
    """Let the kernel kill this process when the other end is closed, as if it were the process that has asked."""
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(connection, fcntl.F_GETFL)
    fcntl.fcntl(connection, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        yield
    finally:
        fcntl.fcntl(connection, fcntl.F_SETFL, flags)


if __name__ == "__main__":
    main()
