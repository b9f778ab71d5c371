"""A process that has imported Snakemake and the large libraries once and forks for each command: `server.py SOCKET`.

The imports take several seconds; a dry run, a refused input and a small job take less than one. It says `ready`, does
what client.py asks for, and ends with its standard input. A command is `snakemake …` or `finecal …`; it has a folder,
an environment and three open files of its own, and what asks is told its exit status.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path

import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401
import seaborn  # noqa: F401
import timm  # noqa: F401
import torch._dynamo  # noqa: F401 - torch does, for its first optimiser

# Snakemake imports all executor plugins, finecal's too. Each fork is to find that of the sources it is asked to use.
everywhere = sys.path.copy()
sys.path = [folder for folder in everywhere if not Path(folder, "finecal").is_dir()]
import snakemake.cli  # noqa: E402
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry  # noqa: E402

ExecutorPluginRegistry()
sys.path = everywhere

LARGEST = 2**20  # bytes of a request


def _run(connection: socket.socket) -> int:
    """The exit status, in a process that then ends."""
    message, files, *_ = socket.recv_fds(connection, LARGEST, 3)
    request = json.loads(message)
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    # As Python opens them at its start: those of before know what the server's own output was.
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace", buffering=1)  # noqa: SIM115
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path.insert(0, os.environ["PYTHONPATH"])
    sys.argv = request["command"]
    try:
        if sys.argv[0] == "snakemake":
            ExecutorPluginRegistry().collect_plugins()
            snakemake.cli.main()
        else:
            importlib.import_module("finecal.cli").main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks: who has asked is told
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork():
                connection.close()
            else:
                os.setsid()  # Linux divides the processor among sessions first: each command counts, as SLURM's jobs do
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                connection.send(str(_run(connection)).encode())
                os._exit(0)


if __name__ == "__main__":
    main()
