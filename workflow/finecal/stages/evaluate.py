"""Score the pretrained, the fine-tuned and each calibrated classifier of a run: metrics and curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from finecal import paths, plugins
from finecal.artifacts import provenance, read_table, with_columns, write_table
from finecal.config import plugin_options
from finecal.evaluation import FINE_TUNED, ORACLE, PRETRAINED, rows, score, score_ncm
from finecal.logits import Predictions, read_predictions, read_split
from finecal.metrics import SeenUnseenCurve
from finecal.paths import RunKey
from finecal.plan import Plan
from finecal.stages.calibrate import CALIBRATION_SCHEMA

METRICS_SCHEMA = pa.schema(
    [
        ("classifier", pa.string()),
        ("calibrator", pa.string()),
        ("reads", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("n", pa.int64()),
    ]
)


def evaluate(plan: Plan, run: RunKey) -> None:
    """Write metrics.parquet and curve.parquet of a run."""
    uses = plan.calibrators(run)
    split_path, calibration_path = run.path(paths.SPLIT), run.folder / paths.CALIBRATION
    fine_tuning, _ = read_split(split_path)
    sources = {PRETRAINED: run.path(paths.PRETRAINED_LOGITS), FINE_TUNED: run.folder / paths.LOGITS}
    if plan.has_oracle(run):
        sources[ORACLE] = run.oracle().folder / paths.LOGITS
    table = read_table(calibration_path, CALIBRATION_SCHEMA)
    found: list[dict[str, Any]] = []
    curves: list[pa.Table] = []
    for classifier, path in sources.items():
        predictions = read_predictions(path, num_classes=len(fine_tuning), features=classifier != ORACLE)
        test = predictions.chosen(predictions.test)
        values, curve = score(test.logits, test.labels, fine_tuning)
        found += rows(classifier, "none", "", values)
        if classifier == ORACLE:
            continue
        found += rows(classifier, "none", "", _ncm(predictions, fine_tuning))
        curves.append(curve_table(classifier, curve))
        if classifier == FINE_TUNED:
            found += score_calibrated(uses, table, test.logits, test.labels, fine_tuning)
    record = provenance(options=uses, inputs=[split_path, calibration_path, *sources.values()])
    metrics = pa.Table.from_pylist(found, schema=METRICS_SCHEMA)
    write_table(run.folder / paths.CURVE, with_columns(pa.concat_tables(curves), run.columns()), provenance=record)
    write_table(run.folder / paths.METRICS, with_columns(metrics, run.columns()), provenance=record)


def score_calibrated(
    uses: dict[str, Any], calibration: pa.Table, logits: np.ndarray, labels: np.ndarray, fine_tuning: np.ndarray
) -> list[dict[str, Any]]:
    """Metric rows of every calibrator but `none`, from its fitted parameters."""
    found: list[dict[str, Any]] = []
    fitted = calibration.to_pylist()
    for name, use in uses.items():
        if name == "none":
            continue  # the fine-tuned classifier as it is: scored already, with or without this name
        module = plugins.load("calibrator", use["calibrator"])
        calibrator = module.Calibrator(plugin_options("calibrator", use["calibrator"], use["options"]))
        state = {row["parameter"]: row["value"] for row in fitted if row["calibrator"] == name}
        values, _ = score(calibrator.apply(logits.astype(np.float64), state, fine_tuning), labels, fine_tuning)
        found += rows(FINE_TUNED, name, ", ".join(sorted(module.READS)), values)
    return found


def curve_table(classifier: str, curve: SeenUnseenCurve) -> pa.Table:
    """The columns classifier, gamma, acc_s_y, acc_u_y, acc_y_y of a curve."""
    columns = {name: pa.array(getattr(curve, name)) for name in ("gamma", "acc_s_y", "acc_u_y", "acc_y_y")}
    return pa.table({"classifier": pa.repeat(pa.scalar(classifier), len(curve.gamma)), **columns})


def _ncm(predictions: Predictions, fine_tuning: np.ndarray) -> dict[str, tuple[float, int]]:
    assert predictions.features is not None
    train, test = ~predictions.test, predictions.test
    return score_ncm(
        (predictions.features[train], predictions.labels[train]),
        (predictions.features[test], predictions.labels[test]),
        fine_tuning,
    )
