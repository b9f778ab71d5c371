"""Keep what depends on versions alone for the user's next process: in `$XDG_CACHE_HOME/finecal` or `~/.cache/finecal`.

The folder may be removed at any time, and where it cannot be written or read, things are made anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from finecal.errors import UserError
from finecal.io.atomic import whole_file


def kept(name: str, made_from: str, make: Callable[[], bytes]) -> bytes:
    """Return what `make` returns, from the user's cache if it is there and whole.

    Parameters
    ----------
    name
        Begins the name of the file.
    made_from
        All that the bytes depend on, as a text; each text has a file of its own.
    make
        Makes the bytes; what it raises is raised.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111 - may have no home
    if not folder.is_absolute():
        return make()
    file = folder / "finecal" / f"{name}-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}"
    with suppress(OSError):
        digest, _, content = file.read_bytes().partition(b"\n")
        if digest == _digest(content):
            return content
    made = make()
    with suppress(OSError, UserError):  # then the next process makes it, too
        file.parent.mkdir(parents=True, exist_ok=True)  # or says at once that a link leads nowhere, as on some nodes
        with whole_file(file) as part:
            part.write_bytes(_digest(made) + b"\n" + made)
    return made


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
