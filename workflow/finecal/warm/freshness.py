"""Whether a fork would do what a new process does: the code that is loaded and the environment in which it was loaded.

A new process reads the code as it is now, and libraries read some settings when they are imported. Where either has
changed since the warm process was started, a job gets a process of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

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

# What Python could import from a folder: files with these endings, and folders with an `__init__.py`. What else is made
# beside them, such as results where `PYTHONPATH` has the working directory, changes nothing.
OF_MODULES = (".py", ".pyc", ".so")
OF_LIBRARIES = (".dist-info", ".egg-info")  # what is beside a library that was installed


class Code(NamedTuple):
    """The state of code on disk.

    Attributes
    ----------
    files
        File of finecal's → when it was changed, in ns, and its size.
    folders
        Folder that Python searches → when it was changed, in ns: its entries change its time.
    modules
        Folder that Python searches and where no library is installed → the state of what it could import from there.
    """

    files: dict[str, tuple[int, int]]
    folders: dict[str, int]
    modules: dict[str, dict[str, tuple[int, int]]]


def read_code() -> Code:
    """The state of finecal's files, and of the folders in which libraries are installed."""
    times = {folder: os.stat(folder).st_mtime_ns for folder in _searched()}  # noqa: PTH116
    return Code(
        _states(_files(PACKAGE)), times, {folder: _modules(folder) for folder in times if not _has_libraries(folder)}
    )


def _searched() -> list[str]:
    return [*dict.fromkeys(filter(os.path.isdir, sys.path))]


def _has_libraries(folder: str) -> bool:
    return any(name.endswith(OF_LIBRARIES) for name in os.listdir(folder))  # noqa: PTH208 - once per folder


def _modules(folder: str) -> dict[str, tuple[int, int]]:
    with os.scandir(folder) as entries:
        found = [entry.path for entry in entries if entry.name.endswith(OF_MODULES) or _is_package(entry.path)]
    return _states(found)


def _is_package(path: str) -> bool:
    return os.path.exists(f"{path}/__init__.py")  # noqa: PTH110 - once per entry of a folder


def _states(paths: Iterable[str]) -> dict[str, tuple[int, int]]:
    found = {}
    for path in paths:
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
        if _searched() != [*before.folders] or _states(_files(PACKAGE)) != before.files:
            return True
        for folder, earlier in before.folders.items():
            time = os.stat(folder).st_mtime_ns  # noqa: PTH116 - once per folder and job
            if time != earlier:
                if folder not in before.modules or _modules(folder) != before.modules[folder]:
                    return True
                before.folders[folder] = time
    except OSError:
        return True
    return False


def changed_settings(own: Mapping[bytes, bytes], asked: Mapping[bytes, bytes]) -> bool:
    """Return whether two environments differ in what libraries may read when they are imported."""
    return any(own.get(name) != asked.get(name) for name in (own.keys() | asked.keys()) - READ_LATE)


def searches_elsewhere(folder: bytes, environment: Mapping[bytes, bytes]) -> bool:
    """Return whether a new process in a folder would look for modules in other folders than this process does."""
    given = environment.get(b"PYTHONPATH", b"")
    relative = bool(given) and not all(map(os.path.isabs, given.split(os.fsencode(os.pathsep))))
    return relative and os.fsdecode(folder) != os.getcwd()  # noqa: PTH109 - as the client asks for its own
