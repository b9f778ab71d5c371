"""Settings of the C library's memory allocator for jobs that compute on the CPU."""

from __future__ import annotations

import ctypes

# From glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
NEVER = -1


def keep_freed_memory() -> None:
    """Make glibc keep the memory of freed tensors for the next ones; do nothing with another C library.

    By default glibc returns large blocks to the kernel at once. A training frees and allocates the same ones in every
    step, and the kernel clears every page each time, which takes longer than a small model's computation. The peak
    memory of a job stays about the same (benchmarks/allocation.py).
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change is not None:
        change(M_MMAP_MAX, 0)
        change(M_TRIM_THRESHOLD, NEVER)
