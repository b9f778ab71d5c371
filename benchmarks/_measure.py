"""What the benchmarks share: measuring a command in its own process, and Markdown tables."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

MIB = 2**20
LOOK = 0.01  # seconds between two looks at a process's memory


class Measured(NamedTuple):
    """Time and memory of a command.

    Attributes
    ----------
    seconds
        From start to end.
    cpu
        CPU seconds, including those of the processes that it started and waited for.
    own
        CPU seconds of its own process only, to a few hundredths; NaN where there is no /proc.
    memory
        Peak of its own process in MiB.
    output
        What it printed, with standard error.
    """

    seconds: float
    cpu: float
    own: float
    memory: float
    output: str


def measure(
    command: Sequence[str | Path], folder: str | Path = ".", environment: Mapping[str, str] | None = None
) -> Measured:
    """Run a command; if it fails, exit with its last lines."""
    parts = [str(part) for part in command]
    # Use the finecal of this environment, however Python was started.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            parts,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": path, **(environment or {})},
        )
        memory = ended = 0
        own = float("nan")
        while not ended:
            memory, own = max(memory, _peak_bytes(process.pid)), _own_seconds(process.pid, own)
            time.sleep(LOOK)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        sys.exit(f"{' '.join(parts)} failed in {folder}:\n{text[-2000:]}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, own, memory / MIB, text)


def _peak_bytes(process: int) -> int:
    """Return the peak that Linux records; elsewhere the memory held now. 0 if the process has just ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    with suppress(psutil.Error):
        return int(psutil.Process(process).memory_info().rss)
    return 0


def _own_seconds(process: int, before: float) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")  # user and system, without children
    return before


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Format a Markdown table; the first `words` columns are left-aligned words, the others numbers."""
    rule = ["---" if i < words else "---:" for i in range(len(columns))]
    return "\n".join([line(columns), "|" + "|".join(rule) + "|", *map(line, rows)])


def line(cells: Iterable[str]) -> str:
    """Format one line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"
