"""Concatenate one kind of table over all runs of the selected studies."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from finecal import paths
from finecal.artifacts import provenance, read_table, write_table
from finecal.errors import UserError, unknown
from finecal.plan import Plan


def aggregate(plan: Plan, name: str) -> None:
    """Write results/tables/{name}.parquet; its rows keep the order of the runs in the plan."""
    if name not in paths.AGGREGATED:
        raise unknown("aggregated table", name, [*paths.AGGREGATED, "cost", "runs"])
    if not plan.runs_in(name):
        raise UserError(f"no selected study has a run for the table {name!r}", where="studies")
    files = [run.folder / paths.AGGREGATED[name] for run in plan.runs_in(name)]
    table = pa.concat_tables([read_table(file) for file in files])
    if "values" in table.column_names:
        # Fitted arrays can be as large as the model's head: numbers alone are brought together.
        table = table.filter(pc.is_valid(table["value"])).drop_columns(["values"])
    record = provenance(options={"studies": list(plan.names)}, inputs=files)
    write_table(f"{paths.TABLE.format(table=name)}.parquet", table.replace_schema_metadata(None), provenance=record)
