"""Prefetch the next item in a background thread while the caller works on the present one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Generic, TypeVar

import torch

T = TypeVar("T")


def can_work_ahead(device: torch.device) -> bool:
    """Return whether preparing the model's next input in a thread saves time.

    It does on a CPU, in a job that has a core besides the one that torch uses; where other jobs need that core, it
    costs a little instead. If torch has more threads, no core is left, and two Python threads would change each other's
    number of threads. A GPU works asynchronously as it is.
    """
    return device.type == "cpu" and torch.get_num_threads() == 1 and len(os.sched_getaffinity(0)) > 1


class Lookahead(Generic[T]):
    """Computes one value at a time in a background thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "ahead")
        self._begun: Future[T] | None = None

    def begin(self, function: Callable[..., T], *arguments: Any) -> None:
        """Start to compute a value."""
        self._begun = self._thread.submit(function, *arguments)

    def result(self) -> T:
        """Wait for the value that was begun last; return it, or raise the error of its function."""
        begun, self._begun = self._begun, None  # or the value would stay in memory until the next one is begun
        assert begun is not None
        return begun.result()

    def close(self) -> None:
        """Wait until the thread is idle, and end it."""
        self._thread.shutdown()


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """Yield the items, of which none is None; each is computed in a background thread while the one before is used."""
    with closing(Lookahead[T | None]()) as ahead:
        ahead.begin(next, items, None)
        while (item := ahead.result()) is not None:
            ahead.begin(next, items, None)
            yield item
