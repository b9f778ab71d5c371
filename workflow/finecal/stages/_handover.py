"""Pass logits from a training job on to its extract job, so that this need not start torch again.

Starting torch and timm takes longer than extracting the logits of a small model, and on a cluster the extract job
would take a GPU for it. The training job has model and images in memory, so it extracts, too, and leaves the result
under `state`. The extract job takes it if it comes from the same model file, images and code, and otherwise computes it
itself. Both give the same numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from finecal import paths, schemas
from finecal.errors import UserError
from finecal.io.atomic import remove_empty_parents
from finecal.io.parquet import read_metadata, read_table, write_table
from finecal.io.provenance import provenance, sha256
from finecal.plan.code_digests import code_digest


def leave(folder: Path, table: pa.Table, *, model: Path, images: Path, device: str, precision: str) -> None:
    """Leave the logits of the run in `folder`, whose model has just been written."""
    record = provenance({"options": _belongs_to(model, images)}, device=device, precision=precision)
    write_table(_place(folder), table, schemas.own_columns(schemas.LOGITS), provenance=record)


def take(folder: Path, *, model: Path, images: Path) -> tuple[pa.Table, dict[str, Any]] | None:
    """Return the logits left for this run and, for provenance, their device and precision; None if they do not fit.

    Their peak memory is noted by the job that left them.
    """
    try:
        record: dict[str, Any] = read_metadata(_place(folder))
        if record.get("options") != _belongs_to(model, images):
            return None
        where = {name: record[name] for name in ("device", "precision")}
        return read_table(_place(folder)).replace_schema_metadata(None), where
    except UserError:  # nothing was left, or the file is damaged
        return None


def discard(folder: Path) -> None:
    """Remove what was left for a run."""
    place = _place(folder)
    if place.is_file():
        place.unlink(missing_ok=True)  # the same job may run twice, where one has outlived its Snakemake
        remove_empty_parents(place)


def _place(folder: Path) -> Path:
    state = paths.state_folder(folder)
    return state.with_name(f"{state.name}.logits.parquet")


def _belongs_to(model: Path, images: Path) -> dict[str, Any]:
    return {"model": sha256(model), "images": sha256(images), "code": code_digest("extract")}
