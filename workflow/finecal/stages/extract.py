"""Logits and features of the target domain's train and test samples: logits.parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finecal import paths
from finecal.artifacts import provenance, with_columns, write_table
from finecal.device import choose_device, describe
from finecal.extraction import extract as extract_arrays
from finecal.extraction import logits_table
from finecal.images import read_images
from finecal.models import load_model
from finecal.paths import RunKey
from finecal.stages import Settings


def extract(out: Path, settings: Settings) -> None:
    """Write a logits.parquet, of a run or of a task's pretrained model, as its path says.

    Its columns are the coordinates, sample, label, subset, logits (float32 × C) and features (float32 × D).

    Raises
    ------
    UserError
        If the path is neither.
    """
    device = choose_device(settings.device, settings.threads)
    model_path, images_path, columns = sources(out)
    images = read_images(images_path)
    model, description = load_model(model_path, device)
    features, logits = extract_arrays(model, description, images.pixels, device)
    table = logits_table(np.arange(len(images)), images.labels, images.test, logits, features)
    options = {"image_size": description.image_size}
    record = provenance(options=options, inputs=[model_path, images_path], device=describe(device))
    write_table(out, with_columns(table, columns), provenance=record)


def sources(out: Path) -> tuple[Path, Path, dict[str, str | int]]:
    """The model and the images that a logits.parquet is made from, and its coordinate columns."""
    of_pretrained = paths.parse(paths.PRETRAINED_LOGITS, str(out))
    if of_pretrained is None:
        run = RunKey.of(out)
        return run.folder / paths.MODEL, run.path(paths.IMAGES), run.columns()
    source, target = of_pretrained["task"].split("-")
    model = Path(paths.PRETRAINED.format(source=source, **of_pretrained)) / paths.MODEL
    images = Path(paths.IMAGES.format(dataset=of_pretrained["dataset"], domain=target))
    return model, images, {**of_pretrained, "recipe": "pretrained"}
