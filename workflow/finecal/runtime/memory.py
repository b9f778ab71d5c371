"""The memory that a job may fill with data, and a scratch file for what does not fit."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psutil
import torch

from finecal.errors import UserError
from finecal.io.atomic import make_in_folder
from finecal.runtime.filesystem import IN_MEMORY, check_room, filesystem_type

MIB = 2**20
# The part of the free memory that data may take; the rest is for the model, its gradients and activations.
PART_FOR_DATA = 0.5
OWN_GROUP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# Environment variables: the MiB requested by this job (by this member of a SLURM job; by the whole SLURM job), and how
# many jobs of this machine may fill memory at the same time.
MEMORY_OF_JOB = ("FINECAL_MEMORY", "SLURM_MEM_PER_NODE")
SIDE_BY_SIDE = "FINECAL_SIDE_BY_SIDE"


class Room:
    """The memory that a job has left for data.

    Parameters
    ----------
    limit
        MiB of the machine's memory. By default half of what is free to the job; where several jobs share the machine,
        each takes its part of that half, since all see the same free memory when they start together.
    """

    def __init__(self, limit: float | None = None) -> None:
        share = PART_FOR_DATA / max(1, _read_number(SIDE_BY_SIDE))
        self._memory = share * available_memory() if limit is None else limit * MIB
        self._device: float | None = None

    def place(self, size: int, device: torch.device) -> Literal["device", "memory", "file"]:
        """Reserve room for data of `size` bytes that is used on a device, and return where it goes."""
        if device.type == "cuda":
            if self._device is None:
                self._device = PART_FOR_DATA * torch.cuda.mem_get_info(device)[0]
            if size <= self._device:
                self._device -= size
                return "device"
        if size <= self._memory:
            self._memory -= size
            return "memory"
        return "file"


def available_memory() -> int:
    """Return the bytes that this process may still take of the machine, its control groups and its job's memory."""
    of_job = [_read_number(name) * MIB for name in MEMORY_OF_JOB]
    return min([psutil.virtual_memory().available, *_left_by_groups(), *filter(None, of_job)])


def _read_number(variable: str) -> int:
    """Read a number from the environment; 0 if there is none. SLURM sets 0 for a job that may take all memory."""
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else 0


def _left_by_groups() -> Iterator[int]:
    """Yield the bytes left by each control group of this process that has a limit."""
    try:
        groups = [line.split(":", 2) for line in OWN_GROUP.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, own in groups:
        if not controllers:  # version 2
            root, limit, used, kept = GROUPS, "memory.max", "memory.current", "inactive_file "
        elif "memory" in controllers.split(","):
            root, limit, used = GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            kept = "total_inactive_file "
        else:
            continue
        folder = root / own.strip("/")
        for group in (folder, *folder.parents):
            try:
                limit_bytes, taken = int((group / limit).read_text()), int((group / used).read_text())
                lines = (group / "memory.stat").read_text().splitlines()
            except (OSError, ValueError):  # above the groups, or "max", which is no limit
                continue
            # The kernel frees cached file contents when memory is needed.
            yield max(0, limit_bytes - taken + sum(int(line.split()[1]) for line in lines if line.startswith(kept)))


def file_in_scratch(size: int) -> mmap.mmap:
    """Map a temporary file of `size` bytes that has no name, so that it is gone when the process ends, however it ends.

    It lies in the folder for temporary files ($TMPDIR), or in ./state if that folder is itself in memory.

    Raises
    ------
    UserError
        If the disk has no room for it.
    """
    folder = Path(tempfile.gettempdir())
    if filesystem_type(folder) in IN_MEMORY:
        folder = Path("state")
    try:
        with make_in_folder(folder / "scratch", lambda: tempfile.TemporaryFile(dir=folder)) as file:
            check_room(file.fileno(), size)
            file.truncate(size)
            if hasattr(os, "posix_fallocate"):  # not on macOS; there a full disk ends the job later
                os.posix_fallocate(file.fileno(), 0, size)
            return mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise UserError(
            f"the images take {size / 2**30:.1f} GiB, which fit neither into memory nor here "
            f"({os.strerror(error.errno or 0)})",
            where=str(folder), hint="Set TMPDIR to a folder on a disk with more space, or ask for more memory",
        ) from error  # fmt: skip
