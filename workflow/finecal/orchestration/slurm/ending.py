"""The end of Snakemake by Ctrl-C: in order the first time, at once the second time."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT


def end_at_next_interrupt(names: str) -> None:
    """Let the next Ctrl-C end this process at once, without a traceback; its SLURM jobs are cancelled all the same.

    Parameters
    ----------
    names
        Those of all SLURM jobs of this process, with commas. Jobs are found by them, whose number is not yet known.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        with suppress(OSError):
            os.write(2, b"finecal: ending at once; SLURM cancels the jobs, which `squeue --me` shows until they end\n")
        with suppress(OSError):
            nothing = subprocess.DEVNULL
            for name in names.split(","):
                command = ["scancel", f"--name={name}"]
                # In a session of its own, since a Ctrl-C reaches all of this one.
                subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
        os._exit(INTERRUPTED)

    with suppress(ValueError):  # not in the main thread, which gets no signals
        signal.signal(signal.SIGINT, end)
