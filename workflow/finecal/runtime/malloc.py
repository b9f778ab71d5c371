"""How the C library hands out memory to a job that computes on the CPU."""

from __future__ import annotations

import ctypes

# From glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
NEVER = -1


def keep_freed_memory() -> None:
    """Keep the memory of freed tensors for the next ones; elsewhere than with glibc nothing happens.

    By default glibc gives large blocks back to the kernel at once. A training frees and needs the same ones in every
    step, and each time the kernel would fill every page with zeros, which takes longer than what small models do with
    them. What a job holds at its peak stays about the same (benchmarks/allocation.py).
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change is not None:
        change(M_MMAP_MAX, 0)
        change(M_TRIM_THRESHOLD, NEVER)
