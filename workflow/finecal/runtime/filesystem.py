"""The type of the file system that a path lies on, and its room."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import psutil

# File systems in the machine's memory, which no other machine sees. `rootfs` is the root of nodes without a disk.
IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs", "rootfs"})


def filesystem_type(path: Path) -> str:
    """Return the type of the file system that a path lies on, links followed; empty if it is not known.

    The path need not exist.
    """
    try:
        mounted = psutil.disk_partitions(all=True)
    except (OSError, psutil.Error):  # as without /proc
        return ""
    place = path.resolve()
    best, found = -1, ""
    for one in mounted:
        depth = len(Path(one.mountpoint).parts)
        if depth >= best and place.is_relative_to(
            one.mountpoint
        ):  # of two on one mount point the later covers the other
            best, found = depth, one.fstype
    return found


def check_room(number: int, size: int) -> None:
    """Check that the disk of an open file has so many bytes free, before they are reserved.

    To reserve more than there is takes all of it until that fails, and meanwhile whatever others write fails.

    Raises
    ------
    OSError
        If it has not: ENOSPC.
    """
    found = os.fstatvfs(number)
    if found.f_bavail * found.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
