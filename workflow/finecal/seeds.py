"""Seeds derived from coordinates, so that no random number depends on what was drawn before it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def seed_of(*coordinates: str | int) -> int:
    """Return a seed in [0, 2⁶³) from texts and numbers: the leading bytes of their SHA-256.

    >>> seed_of("digits", 1) == seed_of("digits", 1), seed_of("a", "bc") == seed_of("ab", "c")
    (True, False)
    """
    digest = hashlib.sha256(repr(coordinates).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*coordinates: str | int) -> np.random.Generator:
    """Return a NumPy generator seeded from coordinates."""
    import numpy as np

    return np.random.default_rng(seed_of(*coordinates))
