"""Fit every calibrator of a run, each on exactly the data it declares: calibration.parquet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from finecal import paths, plugins
from finecal.artifacts import provenance, with_columns, write_table
from finecal.calibration import Data
from finecal.config import plugin_options
from finecal.logits import Predictions, read_predictions, read_pseudo_folds, read_split
from finecal.paths import RunKey
from finecal.plan import Plan

CALIBRATION_SCHEMA = pa.schema(
    [("calibrator", pa.string()), ("reads", pa.string()), ("parameter", pa.string()), ("value", pa.float64())]
)


def calibrate(plan: Plan, run: RunKey) -> None:
    """Write calibration.parquet of a run: one row per calibrator and parameter."""
    uses = plan.calibrators(run)
    reads = plan.reads(run)
    split_path, logits_path = run.path(paths.SPLIT), run.folder / paths.LOGITS
    fine_tuning, _ = read_split(split_path)
    tuned = read_predictions(logits_path, num_classes=len(fine_tuning))
    inputs = [split_path, logits_path]
    pretrained, folds = None, None
    if "pretrained" in reads:
        inputs.append(run.path(paths.PRETRAINED_LOGITS))
        pretrained = read_predictions(inputs[-1], num_classes=len(fine_tuning))
    if "pseudo_splits" in reads:
        inputs.append(run.path(paths.PSEUDO_LOGITS))
        folds = read_pseudo_folds(inputs[-1], fine_tuning)
    rows = fit_all(uses, available(tuned, pretrained, folds, fine_tuning), fine_tuning)
    table = with_columns(pa.Table.from_pylist(rows, schema=CALIBRATION_SCHEMA), run.columns())
    write_table(run.folder / paths.CALIBRATION, table, provenance=provenance(options=uses, inputs=inputs))


def available(
    tuned: Predictions, pretrained: Predictions | None, folds: Any, fine_tuning: np.ndarray
) -> dict[str, Any]:
    """Everything there is to read; each calibrator is granted its part of it."""
    of_s = ~tuned.test & fine_tuning[tuned.labels]
    data: dict[str, Any] = {"train_fine_tuning": tuned.chosen(of_s), "test": tuned.chosen(tuned.test)}
    if pretrained is not None:
        data["pretrained"] = pretrained.chosen(of_s)
    if folds is not None:
        data["pseudo_splits"] = folds
    return data


def fit_all(uses: dict[str, Any], data: dict[str, Any], fine_tuning: np.ndarray) -> list[dict[str, Any]]:
    """Fit calibrators (name → {calibrator, options}); rows with calibrator, reads, parameter, value."""
    rows = []
    for name, use in uses.items():
        module = plugins.load("calibrator", use["calibrator"])
        calibrator = module.Calibrator(plugin_options("calibrator", use["calibrator"], use["options"]))
        state = calibrator.fit(Data(fine_tuning, data, module.READS))
        reads = ", ".join(sorted(module.READS))
        rows += [{"calibrator": name, "reads": reads, "parameter": k, "value": v} for k, v in state.items()]
    return rows
