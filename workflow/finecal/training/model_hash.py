"""The hash of each model, beside it: whoever reads it later learns whether the bytes are those that were written.

Tables have a checksum in each page, weights have none: a copy that broke off leaves zeros, and a model of zeros
computes. `model.safetensors.sha256` is what `sha256sum --check` reads. Comparing costs nothing: whoever reads a model
hashes it anyway, to say what its results were made from.

A job does not know whether its model will be accepted: Snakemake may delete it. So it leaves the hash in `state`, and
Snakemake's process puts it beside the model. A model without a recorded hash, as of an earlier version, is not
compared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from finecal import paths
from finecal.errors import UserError
from finecal.io.atomic import remove_empty_parents, write_text
from finecal.io.provenance import sha256
from finecal.training.state_folder import KEPT

RECORD = re.compile(r"([0-9a-f]{64})  \S+\n")


def check_models(files: Iterable[Path]) -> None:
    """Compare models with their recorded hashes, and pass over other files.

    Raises
    ------
    UserError
        If a model is not as it was written.
    """
    for model in filter(_is_model, files):
        recorded = _read(_beside(model))
        if recorded is not None and model.exists() and sha256(model) != recorded:
            raise UserError(
                f"its bytes are not those that were written: its SHA-256 is {sha256(model)}, recorded is {recorded}",
                where=str(model), why="It was changed, damaged, or copied in part",
                hint=f"Copy it again, or delete it, and it is made again; to keep it, delete {_beside(model)}",
            )  # fmt: skip


def forget_models(files: Iterable[Path]) -> None:
    """Remove what is recorded of models that are about to be written."""
    for model in filter(_is_model, files):
        for record in (_beside(model), left_hash(model)):
            with suppress(OSError):  # never there; where it cannot be removed, neither can the model be written
                record.unlink()


def note_models(files: Iterable[Path]) -> None:
    """Record the hashes of models that were just written: beside them, or below Snakemake until it accepts them."""
    for model in filter(Path.exists, filter(_is_model, files)):
        with suppress(UserError, OSError):  # the model is worth more than what is said of it
            write_text(left_hash(model) if os.environ.get(KEPT) else _beside(model), f"{sha256(model)}  {model.name}\n")


def accept_model(model: Path, left: Path) -> None:
    """Put beside a model the hash that its job has left.

    It is of this model: whatever job writes the model next removes it first. Times say nothing, since Snakemake dates
    anew the outputs that it accepts.
    """
    try:
        if model.exists():  # Snakemake has accepted it
            write_text(_beside(model), left.read_text("utf-8"))
        left.unlink()
    except (UserError, OSError):  # nothing was left, or nothing can be written: then it is not compared
        return
    remove_empty_parents(left)


def left_hash(model: Path) -> Path:
    """Return where a job leaves the hash of its model."""
    state = paths.state_folder(model.parent)
    return state.with_name(f"{state.name}.model.sha256")


def _is_model(file: Path) -> bool:
    return file.name == paths.MODEL


def _beside(model: Path) -> Path:
    return model.with_name(f"{model.name}.sha256")


def _read(record: Path) -> str | None:
    try:
        found = RECORD.fullmatch(record.read_text("utf-8", errors="replace"))
    except OSError:
        return None
    return found[1] if found else None
