"""What comes next is made by a thread while the model works on what is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


def can_work_ahead(device: torch.device) -> bool:
    """Whether what a model is given next is better made beside it: on a CPU, in a job with a core besides torch's one.

    Where other jobs need that core at the time, it is a little slower instead. With more threads of torch no core is
    left, and two threads of Python would disturb each other's setting of their number. A GPU is told its work and
    goes on with it alone.
    """
    return device.type == "cpu" and torch.get_num_threads() == 1 and len(os.sched_getaffinity(0)) > 1


def made_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made in a thread while the one before is used."""
    with ThreadPoolExecutor(1, "ahead") as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item
