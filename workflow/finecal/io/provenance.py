"""Record what a result was made from, with which options, code, libraries and device."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
    """Return the SHA-256 of a file's bytes; a file is read once per process.

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
def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide results, of those that are installed."""
    installed = {}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):  # logits need no torch
            installed[name] = metadata.version(name)
    return installed


@cache
def commit() -> str:
    """Return the commit of finecal's checkout, with `+` if files differ from it; empty outside a checkout."""
    folder = str(Path(finecal.__file__).parent)
    # Not `git describe --dirty`, which locks and rewrites the index: the user's own git would fail meanwhile, and ever
    # after if the job is killed just then.
    asked = ("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--no-renames")
    command = ["git", "--no-optional-locks", "-C", folder, *asked]
    # GIT_DIR and the like, as in a hook, name another repository.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=plain)
    except OSError:  # there is no git, or it may not be run
        return ""
    said = "# branch.oid "
    lines = done.stdout.splitlines()
    found = next((line.removeprefix(said) for line in lines if line.startswith(said)), "")
    return f"{found}{'+' * any(not line.startswith('#') for line in lines)}" if found.isalnum() else ""


def provenance(
    made: Mapping[str, Any],
    *,
    inputs: Sequence[str | Path] = (),
    device: str = "cpu",
    precision: str | None = None,
    compiled: bool | None = None,
    peak_gpu_memory_mib: float | None = None,
) -> dict[str, Any]:
    """Return the provenance of a file: version, commit, command, code and options, libraries, device, hashes of inputs.

    It contains no time, so that the same work done twice gives the same bytes.

    Parameters
    ----------
    made
        What decides the file besides its inputs: the record of a stage's `finecal.plan.code_digests.Identity`, or
        `{"options": …}` for a file that no stage makes.
    precision
        Of the model's computations, where a model ran.
    compiled
        Whether the model was compiled, where one was trained.
    peak_gpu_memory_mib
        Most memory of torch's tensors, where a model ran on a GPU.
    """
    of_models = {"precision": precision, "compiled": compiled, "peak_gpu_memory_mib": peak_gpu_memory_mib}
    return {
        "version": finecal.__version__,
        "commit": commit(),
        "command": " ".join(["finecal", *sys.argv[1:]]),
        **made,
        "libraries": library_versions(),
        "device": device,
        **{name: value for name, value in of_models.items() if value is not None},
        "inputs": {str(path): sha256(path) for path in inputs},
    }
