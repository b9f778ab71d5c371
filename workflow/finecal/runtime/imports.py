"""Faster imports of large libraries."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def large_imports() -> Iterator[None]:
    """Switch off the garbage collector during the imports in the block, and exempt their objects from it afterwards.

    timm creates a million objects that live as long as the process; collecting among them takes a quarter of the
    import's time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
