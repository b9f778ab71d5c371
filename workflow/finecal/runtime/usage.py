"""What a job has used of its machine, as the system tells the job itself; and the file in which it is noted.

A job is one process: started for it, or forked from a process that has done the imports. The system counts times from
the start of a process or from its fork on, so what was done before is not among them. Memory is less simple:

- `ru_maxrss` outlives `exec`: a small program that a large one starts reads the peak of the large one as its own. Linux
  keeps the peak of the present program in /proc/self/status.
- A fork begins with all pages of the process that it was forked from, so they are in its peak. Which of its pages no
  other process has is known at the end only. What was given back between the peak and the end counts as its own, too.
"""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psutil

from finecal.errors import UserError
from finecal.io.atomic import write_text
from finecal.io.processes import start_tick

OWN = Path("/proc/self")
MIB = 2**20
NAN = float("nan")


def wall_seconds() -> float:
    """Return the seconds since this process started, or was forked; on Linux whatever is done to the clock."""
    tick = start_tick(os.getpid())
    if tick is None:
        return time.time() - psutil.Process().create_time()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - tick / os.sysconf("SC_CLK_TCK")


def cpu_seconds() -> float:
    """Return the CPU time of all threads of this process since its start or fork, and of all processes below it."""
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(part.ru_utime + part.ru_stime for part in ended)
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            times = child.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def peak_memory_mib() -> float:
    """Return the most MiB (2**20 bytes) that this process had resident, or a child that has ended, if that is more."""
    peak = _sum_of_lines("status", "VmHWM")
    of_children = _most_resident(resource.RUSAGE_CHILDREN)
    return max(_most_resident(resource.RUSAGE_SELF) if math.isnan(peak) else peak, of_children)


def own_memory_mib() -> float:
    """Return the most MiB that this process had for itself alone; NaN where the system does not say, as on macOS.

    Pages are left out that another process has, too, above all the one that this was forked from.
    """
    peak, now = _sum_of_lines("status", "VmHWM"), _sum_of_lines("smaps_rollup", "Rss")
    private = _sum_of_lines("smaps_rollup", "Private_Clean", "Private_Dirty", "Private_Hugetlb")
    return private + max(0.0, peak - now)


def _most_resident(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / (MIB if sys.platform == "darwin" else 1024)


def _sum_of_lines(file: str, *names: str) -> float:
    """Return the MiB on the lines of these names in one of the kernel's files on this process; NaN if it has none."""
    found = [number / 1024 for name, number in _numbers(file) if name in names]
    return sum(found) if found else NAN


def _numbers(file: str) -> Iterator[tuple[str, int]]:
    """Yield name and number of each line `name: number …`; nothing where there is no such file."""
    try:
        lines = (OWN / file).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        name, _, rest = line.partition(":")
        value = rest.split()[:1]
        if value and value[0].isdecimal():
            yield name, int(value[0])


def measure() -> dict[str, str]:
    """Return what this process has used so far: columns and texts of one of Snakemake's benchmark files.

    Seconds are from the start of the process, or from its fork, to now; memory, input and output in MiB; `mean_load` is
    in percent of one processor. NA stands for what the system does not say, and for `max_pss`, which no system keeps.
    """
    wall, cpu = wall_seconds(), cpu_seconds()
    disk = {name: number / MIB for name, number in _numbers("io")}
    return {
        "s": f"{wall:.3f}",
        "h:m:s": str(timedelta(seconds=int(wall))),
        "max_rss": _text(peak_memory_mib()),
        "max_vms": _text(_sum_of_lines("status", "VmPeak")),
        "max_uss": _text(own_memory_mib()),
        "max_pss": "NA",
        "io_in": _text(disk.get("read_bytes", NAN)),
        "io_out": _text(disk.get("write_bytes", NAN)),
        "mean_load": _text(100 * cpu / wall if wall > 0 else NAN),
        "cpu_time": f"{cpu:.3f}",
    }


def _text(value: float) -> str:
    return "NA" if math.isnan(value) else f"{value:.2f}"


@contextmanager
def noted(path: Path | None) -> Iterator[None]:
    """Note in a file what this process has used by the end of the block, unless that ends with an error.

    What an earlier attempt has noted there is removed first, so that no result has the measurement of another. A result
    is worth more than its measurement: if the note cannot be written, a message is printed.

    Parameters
    ----------
    path
        The file, in the format of Snakemake's benchmark files; None to note nothing.

    Raises
    ------
    UserError
        If the note of an earlier attempt cannot be removed; the block is then not begun.
    """
    if path is None:
        yield
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"what an earlier attempt took is noted here and cannot be removed ({os.strerror(error.errno or 0)})",
            where=str(path), hint="Give yourself the right to write in its folder",
        ) from error  # fmt: skip
    yield
    measured = measure()
    try:
        write_text(path, "\t".join(measured) + "\n" + "\t".join(measured.values()) + "\n")
    except (UserError, OSError) as error:
        print(f"finecal: what this job took is not noted, its results are complete: {error}", file=sys.stderr)
