"""Repeat something in the background while a block runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeat(action: Callable[[], object], seconds: float) -> Iterator[None]:
    """Call `action` every so many seconds until the block ends, and once more after it."""
    ended = threading.Event()

    def call() -> None:
        while not ended.wait(seconds):
            action()

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        action()
