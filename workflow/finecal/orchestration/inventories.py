"""What a dry run finds Snakemake keeps for `--trust-io-cache`. Where it cannot be kept, the dry run is as right.

So `snakemake -n` and `snakemake` look at a finished study where nothing can be written, as on a file system that is
read-only: what is there is there. `tests/unit/orchestration/test_inventories.py` fails when an update changes names.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from snakemake.persistence import PersistenceBase

NAMES = ("save_iocache", "drop_iocache")
_usual = {name: getattr(PersistenceBase, name) for name in NAMES}


def forgive_inventories() -> None:
    """Let Snakemake, from now on, pass over an inventory that can be neither kept nor removed."""
    for name, function in _usual.items():
        setattr(PersistenceBase, name, _forgiving(function))


def _forgiving(function: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(function)
    def forgiving(notes: Any) -> None:
        with suppress(OSError):
            function(notes)

    return forgiving
