"""What a checkpoint may hold beside tensors: values that trainers save, whose classes run no code of the file.

`torch.load(weights_only=True)` reads tensors, numbers, texts and containers of them. These are added to it: the
arguments of a command line, as timm adds them, NumPy's numbers and arrays, and paths, and dates among them.
"""

from __future__ import annotations

import argparse
import datetime
import pathlib
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Under which names NumPy's two functions stand in files of NumPy 2 and of NumPy 1.
_MULTIARRAY = ("numpy._core.multiarray", "numpy.core.multiarray")
_FUNCTIONS = ("scalar", "_reconstruct")
# Since Python 3.13 a path names the module that it is really from.
_PATHS = ("pathlib", "pathlib._local")


# Of pickle; without what comes with a newer one, torch's own reader can read protocol 3.
READ_PROTOCOLS = ("2", "3", "")


def harmless() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Return the classes and functions to allow, with the name in the file where it is not the present one."""
    functions = {name: getattr(np._core.multiarray, name) for name in _FUNCTIONS}  # type: ignore[attr-defined]
    return [
        argparse.Namespace,
        datetime.datetime,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        datetime.timezone,
        np.dtype,
        np.ndarray,
        *(getattr(np.dtypes, name) for name in np.dtypes.__all__),
        *((found, f"{module}.{name}") for module in _MULTIARRAY for name, found in functions.items()),
        *((getattr(pathlib, kind), f"{module}.{kind}") for module in _PATHS for kind in ("PosixPath", "PurePosixPath")),
        # Its objects cannot be made here; the path is only passed by.
        *((pathlib.PurePosixPath, f"{module}.WindowsPath") for module in _PATHS),
    ]


def find_others(file: Path) -> list[str]:
    """Return the names of classes and functions in a file that are not read; none if it cannot be said."""
    try:
        with torch.serialization.safe_globals(harmless()):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except Exception:  # a damaged file, or one in torch's old format, may raise anything
        return []


def find_protocol(file: Path) -> str:
    """Return with which protocol a file is pickled: a number, or "0 or 1"; empty if it cannot be said."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
                first = archive.open(name).read(2)
        else:
            with file.open("rb") as opened:
                first = opened.read(2)
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile):
        return ""
    if len(first) == 2 and first[0] == pickle.PROTO[0]:
        return str(first[1]) if first[1] <= pickle.HIGHEST_PROTOCOL else ""
    # Protocols 0 and 1 begin with a dict, with an object made by a function, or with the number of torch's old format.
    return "0 or 1" if first[:1] in (pickle.MARK, pickle.EMPTY_DICT, pickle.GLOBAL, pickle.LONG) else ""
