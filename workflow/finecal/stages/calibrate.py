"""Fit every calibrator of a run, each on exactly the data it declares: calibration.parquet."""

from __future__ import annotations

from typing import Any

import numpy as np

from finecal import paths, schemas
from finecal.calibration.contract import Data
from finecal.calibration.inputs import Seen, read_head, read_predictions, read_pretrained, read_pseudo_folds, read_split
from finecal.calibration.parameters import calibrator, state_rows
from finecal.io.declared import from_rows
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance
from finecal.paths import RunKey
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan


def calibrate(plan: Plan, run: RunKey) -> None:
    """Write calibration.parquet of a run: one row per calibrator and parameter."""
    uses, reads, takes = plan.calibrators(run), plan.reads(run), plan.takes(run)
    split_path, logits_path = run.path(paths.SPLIT), run.folder / paths.LOGITS
    fine_tuning, _ = read_split(split_path)
    tuned = read_predictions(logits_path, num_classes=len(fine_tuning), features="features" in takes)
    inputs = [split_path, logits_path]
    pretrained, folds, head = None, None, None
    if "pretrained" in reads:
        inputs.append(run.path(paths.PRETRAINED_LOGITS))
        pretrained = read_pretrained(inputs[-1], tuned)
    if "pseudo_splits" in reads:
        inputs.append(run.path(paths.PSEUDO_LOGITS))
        folds = read_pseudo_folds(inputs[-1], fine_tuning)
    if "weights" in reads:
        inputs.append(run.folder / paths.HEAD)
        head = read_head(inputs[-1], len(fine_tuning))
    seen = Seen(tuned, pretrained, head=head)
    rows = fit_all(uses, seen.available(fine_tuning, folds), fine_tuning)
    table = with_columns(from_rows(rows, schemas.own_columns(schemas.CALIBRATION)), run.columns())
    record = provenance(Identities(plan).of_run("calibrate", run).record(), inputs=inputs)
    write_table(run.folder / paths.CALIBRATION, table, schemas.CALIBRATION, provenance=record)


def fit_all(uses: dict[str, Any], available: dict[str, Any], fine_tuning: np.ndarray) -> list[dict[str, Any]]:
    """Fit calibrators (name → {calibrator, options}) on their parts of the data: rows of the calibration table."""
    rows = []
    for name, use in uses.items():
        method, reads, takes = calibrator(use)
        rows += state_rows(name, reads, method.fit(Data(fine_tuning, available, reads, takes)))
    return rows
