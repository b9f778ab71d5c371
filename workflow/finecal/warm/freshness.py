"""Whether a fork would do what a new process does: the code that is loaded and the environment in which it was loaded.

A new process reads the code as it is now, and libraries read some settings when they are imported. Where either has
changed since the warm process was started, a job gets a process of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import finecal

# Variables of which nothing is read at an import: they may differ from job to job. All others must be as they were.
READ_LATE = frozenset(
    name.encode()
    for name in (
        *("TMPDIR", "TMP", "TEMPDIR", "TEMP"),  # Snakemake sets them for each job, from the resource `tmpdir`
        *("PWD", "OLDPWD", "SHLVL", "_"),  # shells do
        "MPLBACKEND",  # finecal draws without a window, and says so itself
        *("FINECAL_MEMORY", "FINECAL_SIDE_BY_SIDE", "FINECAL_SOURCE", "FINECAL_KEEPS_STATES"),
    )
)
PACKAGE = Path(finecal.__file__).parent

# File or folder → when it was changed, in ns, and its size; a folder's entries change its time.
Code = dict[str, tuple[int, int]]


def read_code() -> Code:
    """The state of finecal's files, and of the folders in which libraries are installed."""
    found = {}
    for path in (*_files(PACKAGE), *filter(os.path.isdir, sys.path)):
        state = os.stat(path)  # noqa: PTH116 - once per file and job
        found[path] = state.st_mtime_ns, state.st_size
    return found


def _files(folder: str | Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _files(entry.path)
            else:
                yield entry.path


def changed_code(before: Code) -> bool:
    """Return whether code has changed, or cannot be read."""
    try:
        return read_code() != before
    except OSError:
        return True


def changed_settings(own: Mapping[bytes, bytes], asked: Mapping[bytes, bytes]) -> bool:
    """Return whether two environments differ in what libraries may read when they are imported."""
    return any(own.get(name) != asked.get(name) for name in (own.keys() | asked.keys()) - READ_LATE)
