"""Logits and features of the target domain's train and test samples: logits.parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from finecal import paths, schemas
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance
from finecal.models.header import read_header
from finecal.paths import RunKey
from finecal.plan.code_digests import Identity
from finecal.stages import Settings, _handover


def extract(out: Path, settings: Settings) -> None:
    """Write a logits.parquet, of a run or of a task's pretrained model, as its path says.

    Its columns are the coordinates, sample, label, subset, logits (float32 × C) and features (float32 × D).

    Raises
    ------
    UserError
        If the path is neither.
    """
    model_path, images_path, columns = sources(out)
    left = _handover.take(out.parent, model=model_path, images=images_path)
    table, device = left or _compute(model_path, images_path, settings)
    made = Identity.of("extract", {"image_size": read_header(model_path)["architecture"]["image_size"]})
    record = provenance(made.record(), inputs=[model_path, images_path], **device)
    schema = schemas.LOGITS if "seed" in columns else schemas.PRETRAINED_LOGITS
    write_table(out, with_columns(table, columns), schema, provenance=record)
    _handover.discard(out.parent)


def _compute(model_path: Path, images_path: Path, settings: Settings) -> tuple[pa.Table, dict[str, Any]]:
    from finecal.data.reader import PackedFile
    from finecal.models.extraction import extract_table
    from finecal.models.files import load_model
    from finecal.runtime.device import choose_device, used

    device = choose_device(settings.device, settings.threads)
    images = PackedFile.open(images_path)
    model, description = load_model(model_path, device)
    table = extract_table(model, description, images, device, settings.precision)
    return table, used(device, settings.precision)


def sources(out: Path) -> tuple[Path, Path, dict[str, str | int]]:
    """The model and the images that a logits.parquet is made from, and its coordinate columns."""
    of_pretrained = paths.parse(paths.PRETRAINED_LOGITS, str(out))
    if of_pretrained is None:
        run = RunKey.of(out)
        return run.folder / paths.MODEL, run.path(paths.IMAGES), run.columns()
    model = Path(paths.PRETRAINED.format(**of_pretrained), paths.MODEL)
    images = Path(paths.IMAGES_OF_TARGET.format(**of_pretrained))
    task = "{source}-{target}".format(**of_pretrained)
    names = {"dataset": of_pretrained["dataset"], "task": task, "backbone": of_pretrained["backbone"]}
    return model, images, {**names, "recipe": "pretrained"}
