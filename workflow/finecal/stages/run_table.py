"""Write one row for each run of the selected studies: its coordinates and options."""

from __future__ import annotations

from finecal import paths, schemas
from finecal.calibration.inputs import read_split
from finecal.io.declared import from_rows
from finecal.io.parquet import write_table
from finecal.io.provenance import provenance
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.plan.run_table import describe_run


def run_table(plan: Plan) -> None:
    """Write results/tables/runs.parquet, in the order of the plan."""
    files = dict.fromkeys(run.path(paths.SPLIT) for run in plan.runs)
    masks = {file: read_split(file)[0] for file in files}
    rows = []
    for run in plan.runs:
        mask = masks[run.path(paths.SPLIT)]
        rows.append({**describe_run(plan, run), "n_fine_tuning": int(mask.sum()), "n_absent": int((~mask).sum())})
    record = provenance(Identities(plan).of("run_table", {}).record(), inputs=list(files))
    table = from_rows(rows, schemas.RUNS)
    write_table(f"{paths.TABLE.format(table='runs')}.parquet", table, schemas.RUNS, provenance=record)
