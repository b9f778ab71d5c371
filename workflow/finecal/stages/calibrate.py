"""Fit every calibrator of a run, each on exactly the data it declares: calibration.parquet."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from finecal import paths, schemas
from finecal.calibration.contract import Data
from finecal.calibration.parameters import calibrator, refusals, state_rows
from finecal.io.declared import from_rows
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance
from finecal.paths import RunKey
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.stages._inputs import read_run_inputs


def calibrate(plan: Plan, run: RunKey) -> None:
    """Write calibration.parquet of a run: one row per calibrator and parameter."""
    given = read_run_inputs(run, plan.reads(run), features="features" in plan.takes(run))
    available = given.seen.available(given.fine_tuning, given.folds)
    rows = fit_all(plan.calibrators(run), available, given.fine_tuning)
    for sentence in refusals(rows):
        print(sentence, file=sys.stderr)
    table = with_columns(from_rows(rows, schemas.own_columns(schemas.CALIBRATION)), run.columns())
    record = provenance(Identities(plan).of_run("calibrate", run).record(), inputs=given.files)
    write_table(run.folder / paths.CALIBRATION, table, schemas.CALIBRATION, provenance=record)


def fit_all(uses: dict[str, Any], available: dict[str, Any], fine_tuning: np.ndarray) -> list[dict[str, Any]]:
    """Fit calibrators (name → {calibrator, options}) on their parts of the data: rows of the calibration table."""
    rows = []
    for name, use in uses.items():
        method, reads, takes = calibrator(use)
        rows += state_rows(name, reads, method.fit(Data(fine_tuning, available, reads, takes)))
    return rows
