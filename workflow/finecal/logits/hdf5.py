"""Datasets of an HDF5 file, read by a process of its own.

HDF5's library crashes on some damaged files, and never ends on others. The process has limits of time and memory, and
when it ends the file is refused. This file is also that process's program: `hdf5.py FILE` lists, `hdf5.py FILE DATASET`
writes one dataset as .npy.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError

SECONDS = 30  # of CPU time, and one more for each SPEED
SPEED = 10_000_000  # bytes
Found = tuple[tuple[int, ...], np.dtype[Any], Callable[[], npt.NDArray[Any]]]
ROOM = 4 << 30  # bytes of addresses, mostly of libraries


class UnreadableError(OSError):
    """The process has not read the file; the message says why."""


def is_installed() -> bool:
    """Return whether h5py is there, without importing it."""
    return importlib.util.find_spec("h5py") is not None


def datasets(path: Path) -> dict[str, Found]:
    """Return name → shape, type, and what reads it; names are without their groups.

    Raises
    ------
    UnreadableError
        If the file is damaged.
    UserError
        If two groups have a dataset of the same name.
    """
    with tempfile.TemporaryFile() as answer:
        _run(answer, 0, str(path))
        listed = json.load(answer)
    found: dict[str, Found] = {}
    for name, shape, kind in listed:
        dtype = np.dtype(kind)
        size = int(np.prod(shape, dtype=np.float64)) * dtype.itemsize
        own = name.rpartition("/")[2]
        if own in found:
            raise UserError(
                f"{name!r} is not the only dataset that is called {own}", where=str(path),
                why="Which of them is meant is not known", hint="Bring one table, with a column subset",
            )  # fmt: skip
        found[own] = (tuple(shape), dtype, partial(_read, path, name, size))
    return found


def _read(path: Path, name: str, size: int) -> npt.NDArray[Any]:
    with tempfile.TemporaryFile() as answer:
        _run(answer, size, str(path), name)
        values: npt.NDArray[Any] = np.lib.format.read_array(answer, allow_pickle=False)
    return values


def _run(answer: IO[bytes], size: int, *words: str) -> None:
    """Let the process write its answer into a file."""
    limits = (str(SECONDS + size // SPEED), str(ROOM + 4 * size))
    command = [sys.executable, "-P", __file__, *limits, *words]  # -P: names of this folder are no packages
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=answer, stderr=subprocess.PIPE, check=False)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise UnreadableError(f"it is damaged: HDF5's library was ended by {name}")
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UnreadableError(said[-1] if said else "damaged")
    answer.seek(0)


def _main(seconds: str, room: str, path: str, name: str = "") -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (int(room), int(room)))
    import h5py

    with h5py.File(path, "r") as file:
        if name:
            values = file[name][()]
            texts = values.dtype.kind == "O"
            np.save(sys.stdout.buffer, np.array([v.decode() for v in values.flat]) if texts else values)
            return
        found: list[tuple[str, tuple[int, ...], str]] = []

        def note(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found.append((name, item.shape, item.dtype.str))

        file.visititems(note)
        print(json.dumps(found))


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except Exception as error:  # the last line says what is wrong
        sys.exit(f"{type(error).__name__}: {error}".splitlines()[0])
