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


def extract(run: RunKey, settings: Settings) -> None:
    """Write logits.parquet of a run.

    Its columns are the coordinates, sample, label, subset, logits (float32 × C) and features (float32 × D).
    """
    out = run.folder / paths.LOGITS
    _extract("extract", out, run.folder / paths.MODEL, run.target, run.columns(), settings)


def extract_pretrained(dataset: str, source: str, target: str, backbone: str, settings: Settings) -> None:
    """Write logits.parquet of the pretrained model of a task, with the same columns as that of a run."""
    where = {"dataset": dataset, "source": source, "target": target, "backbone": backbone}
    model, out = (
        Path(pattern.format(**where)) for pattern in (f"{paths.PRETRAINED}/{paths.MODEL}", paths.PRETRAINED_LOGITS)
    )
    columns: dict[str, str | int] = {
        "dataset": dataset, "task": f"{source}-{target}", "backbone": backbone, "recipe": "pretrained",
    }  # fmt: skip
    _extract("extract_pretrained", out, model, target, columns, settings)


def _extract(
    stage: str, out: Path, model: Path, target: str, columns: dict[str, str | int], settings: Settings
) -> None:
    described = read_header(model)["architecture"]
    framed = described.get("framing") is not None
    images = Path(paths.images_of(str(columns["dataset"]), target, str(columns["backbone"]), framed=framed))
    left = _handover.take(out.parent, model=model, images=images)
    table, device = left or _compute(model, images, settings)
    made = Identity.of(stage, {"image_size": described["image_size"]})
    record = provenance(made.record(), inputs=[model, images], **device)
    schema = schemas.LOGITS if stage == "extract" else schemas.PRETRAINED_LOGITS
    write_table(out, with_columns(table, columns), schema, provenance=record)
    _handover.discard(out.parent)


def _compute(model_path: Path, images_path: Path, settings: Settings) -> tuple[pa.Table, dict[str, Any]]:
    from finecal.data.reader import PackedFile
    from finecal.models.extraction import extract_table
    from finecal.models.files import load_model
    from finecal.runtime.device import choose_device, device_record

    device = choose_device(settings.device, settings.threads)
    images = PackedFile.open(images_path)
    model, description = load_model(model_path, device)
    table = extract_table(model, description, images, device, settings.precision)
    return table, device_record(device, settings.precision)
