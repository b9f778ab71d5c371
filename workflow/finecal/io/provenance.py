"""What a result was made from, by which version of finecal, with what."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import finecal
from finecal.errors import UserError

LIBRARIES = (
    "numpy",
    "pyarrow",
    "scipy",
    "torch",
    "torchvision",
    "timm",
    "pandas",
    "scikit-learn",
    "matplotlib",
    "seaborn",
)


@cache
def sha256(path: str | Path) -> str:
    """Hash of a file's bytes.

    Raises
    ------
    UserError
        If it is missing or cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise UserError("this file is missing", where=str(path)) from error
    except OSError as error:
        raise UserError(f"not readable ({error.strerror})", where=str(path)) from error


@cache
def commit() -> str:
    """The commit of finecal's checkout, with `+` where files differ from it; empty outside a checkout."""
    command = [
        "git",
        "-C",
        str(Path(finecal.__file__).parent),
        "describe",
        "--always",
        "--abbrev=40",
        "--dirty=+",
        "--exclude=*",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def provenance(
    made: Mapping[str, Any],
    *,
    inputs: Sequence[str | Path] = (),
    device: str = "cpu",
    precision: str | None = None,
    compiled: bool | None = None,
    peak_gpu_memory_mib: float | None = None,
) -> dict[str, Any]:
    """What made a file: version and commit, command, what decides it, libraries, device, inputs with hashes.

    `made` is what decides the file besides its inputs: the record of a stage's `finecal.plan.code_digests.Identity`, or
    for files of no stage their `options`.

    There is no time in it: the same work twice gives the same bytes. Precision is there where a model ran, whether it
    was compiled where it was trained, the memory where it ran on a GPU.
    """
    of_models = {"precision": precision, "compiled": compiled, "peak_gpu_memory_mib": peak_gpu_memory_mib}
    return {
        "version": finecal.__version__,
        "commit": commit(),
        "command": " ".join(["finecal", *sys.argv[1:]]),
        **made,
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "device": device,
        **{name: value for name, value in of_models.items() if value is not None},
        "inputs": {str(path): sha256(path) for path in inputs},
    }
