"""Which class a run's classifiers predict at every place of the plane: decision_regions.parquet of the toy data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from finecal import paths, schemas
from finecal.calibration.inputs import group_names, read_split
from finecal.data.packed import read_images
from finecal.datasets import toy
from finecal.io.parquet import read_table, with_columns, write_table
from finecal.io.provenance import provenance
from finecal.models.extraction import extract
from finecal.models.files import load_model
from finecal.paths import RunKey
from finecal.plan.code_digests import Identity
from finecal.runtime.device import choose_device, device_record
from finecal.stages import Settings

LEVELS = np.arange(0, 256, 2)  # every second brightness: places that a picture shows exactly


def decision_regions(run: RunKey, settings: Settings) -> None:
    """Write decision_regions.parquet: the test samples, and per classifier its prediction at each place of a grid.

    The classifiers are the pretrained and the fine-tuned model, and the latter with each calibrator that is a γ.
    """
    device = choose_device(settings.device, settings.threads)
    split_path, images_path, calibration_path = (
        run.path(paths.SPLIT), run.path(paths.IMAGES), run.folder / paths.CALIBRATION
    )  # fmt: skip
    models = {"pretrained": run.pretrained_folder / paths.MODEL, "fine_tuned": run.folder / paths.MODEL}
    fine_tuning, names = read_split(split_path)
    images = read_images(images_path)
    levels = np.stack(np.meshgrid(LEVELS, LEVELS), axis=-1).reshape(-1, 2)
    pictures = toy.draw_points(levels / 255 * 2 * toy.EDGE - toy.EDGE)
    grid = toy.read_points(pictures)

    def rows(element: str, classifier: str, calibrator: str, places: np.ndarray, classes: np.ndarray) -> pa.Table:
        constant = {"element": element, "classifier": classifier, "calibrator": calibrator}
        columns = {
            "x": pa.array(np.ascontiguousarray(places[:, 0])),
            "y": pa.array(np.ascontiguousarray(places[:, 1])),
            "class": pa.array(classes.astype(np.int32)),
            "name": pa.array([names[number] for number in classes], pa.string()),
            "group": pa.array(group_names(fine_tuning[classes]), pa.string()),
        }
        return with_columns(pa.table(columns), constant)

    tables = [rows("sample", "", "", toy.read_points(images.pixels[images.test]), images.labels[images.test])]
    for classifier, path in models.items():
        model, description = load_model(path, device)
        _, logits = extract(model, description, pictures, device, settings.precision)
        gammas = {"none": 0.0, **(_gammas(calibration_path) if classifier == "fine_tuned" else {})}
        for calibrator, gamma in gammas.items():
            shifted = np.where(fine_tuning, logits, logits.astype(np.float64) + gamma)
            tables.append(rows("region", classifier, calibrator, grid, shifted.argmax(axis=1)))
    inputs = [split_path, images_path, calibration_path, *models.values()]
    record = provenance(
        Identity.of("decision_regions", {}).record(), inputs=inputs, **device_record(device, settings.precision)
    )
    table = with_columns(pa.concat_tables(tables), run.columns())
    write_table(run.folder / paths.DECISION_REGIONS, table, schemas.DECISION_REGIONS, provenance=record)


def _gammas(path: Path) -> dict[str, float]:
    """Calibrator → γ, of those that have no other parameter."""
    found: dict[str, dict[str, Any]] = {}
    fitted = read_table(path, schemas.select(schemas.CALIBRATION, "calibrator", "parameter", "value"))
    for row in fitted.to_pylist():
        found.setdefault(row["calibrator"], {})[row["parameter"]] = row["value"]
    return {name: state["gamma"] for name, state in found.items() if set(state) == {"gamma"}}
