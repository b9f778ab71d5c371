"""What comes next is made by a thread while the model works on what is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


def has_spare_core(device: torch.device) -> bool:
    """Whether a core of this job may be free while its model works: models on the CPU have one thread in a pipeline.

    With more threads of torch there is none, and two threads of Python would disturb each other's number of threads.
    On a GPU images are changed there, and nothing waits.
    """
    return device.type == "cpu" and torch.get_num_threads() == 1 and len(os.sched_getaffinity(0)) > 1


def made_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made in a thread while the one before is used."""
    with ThreadPoolExecutor(1, "ahead") as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item
