"""One row for each run of the selected studies: its coordinates, and what it is."""

from __future__ import annotations

import pyarrow as pa

from finecal import paths
from finecal.calibration.inputs import read_split
from finecal.io.parquet import write_table
from finecal.io.provenance import provenance
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.plan.run_table import described

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("dataset", "task", "backbone", "recipe", "split")),
        ("seed", pa.int64()),
        ("built_in_recipe", pa.string()),
        ("optimizer", pa.string()),
        *((name, pa.float64()) for name in ("lr", "backbone_lr_scale", "weight_decay", "momentum", "label_smoothing")),
        *((name, pa.int64()) for name in ("batch_size", "epochs")),
        *((name, pa.string()) for name in ("model", "head", "split_kind")),
        *((name, pa.int64()) for name in ("split_seed", "n_fine_tuning", "n_absent")),
    ]
)


def run_table(plan: Plan) -> None:
    """Write results/tables/runs.parquet, in the order of the plan."""
    files = dict.fromkeys(run.path(paths.SPLIT) for run in plan.runs)
    masks = {file: read_split(file)[0] for file in files}
    rows = []
    for run in plan.runs:
        mask = masks[run.path(paths.SPLIT)]
        rows.append({**described(plan, run), "n_fine_tuning": int(mask.sum()), "n_absent": int((~mask).sum())})
    record = provenance(Identities(plan).of("run_table", {}).record(), inputs=list(files))
    write_table(f"{paths.TABLE.format(table='runs')}.parquet", pa.Table.from_pylist(rows, SCHEMA), provenance=record)
