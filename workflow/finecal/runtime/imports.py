"""Imports of large libraries, faster."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def large_imports() -> Iterator[None]:
    """Around imports of large libraries: what they make lives on, so nothing is looked for in it.

    Of timm it is a million objects; to look for garbage among them again and again takes a quarter of the import.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
