"""Concatenate one kind of table over all runs of the selected studies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from finecal import paths, schemas
from finecal.errors import UserError, unknown
from finecal.io.declared import conform, difference
from finecal.io.parquet import read_metadata, read_schema, read_table, write_parts
from finecal.io.provenance import provenance
from finecal.paths import RunKey
from finecal.plan.identities import Identities, check_made_as_planned
from finecal.plan.plan import Plan
from finecal.plan.stages import STAGES

# Fitted arrays can be as large as the model's head: only numbers are aggregated.
LEFT_OUT = "values"
SCHEMAS = {name: schemas.TABLES[f"{{run}}/{file}"] for name, file in paths.AGGREGATED.items()}


def aggregate(plan: Plan, name: str) -> None:
    """Write results/tables/{name}.parquet; its rows keep the order of the runs in the plan.

    The runs are read one after another, so memory does not grow with their number.

    Raises
    ------
    UserError
        If no run has such a table, or one has other columns than are declared.
    """
    if name not in paths.AGGREGATED:
        raise unknown("aggregated table", name, paths.AGGREGATED)
    if not plan.runs_in(name):
        raise UserError(f"no selected study has a run for the table {name!r}", where="studies")
    files = [run.folder / paths.AGGREGATED[name] for run in plan.runs_in(name)]
    schema = SCHEMAS[name]
    record = provenance(Identities(plan).of("aggregate", {}).record(), inputs=files)
    kept = schemas.without(schema, (LEFT_OUT,))
    write_parts(f"{paths.TABLE.format(table=name)}.parquet", _parts(plan, name, schema, kept), kept, provenance=record)


def _parts(plan: Plan, name: str, schema: pa.Schema, kept: pa.Schema) -> Iterator[pa.Table]:
    identities, runs = Identities(plan), plan.runs_in(name)
    for run in runs:
        file = run.folder / paths.AGGREGATED[name]
        _check_columns(read_schema(file), schema, file)
        _check_made_as_planned(identities, name, run)
        table = conform(read_table(file, kept).replace_schema_metadata(None), kept)
        yield table if kept == schema else table.filter(table["value"].is_valid())


def _check_made_as_planned(identities: Identities, name: str, run: RunKey) -> None:
    """Check that the run's file and its training were made with the options that the plan has now."""
    file = paths.AGGREGATED[name]
    maker = next(stage.name for stage in STAGES.values() if f"{paths.RUN}/{file}" in stage.outputs.values())
    for stage, name_ in {maker: file, "finetune": paths.HISTORY}.items():
        path = run.folder / name_
        if path.exists():  # results may be kept without their training
            check_made_as_planned(identities, stage, run, read_metadata(path), path)


def _check_columns(found: pa.Schema, declared: pa.Schema, file: Path) -> None:
    if problem := difference(found, declared):
        raise UserError(
            "its columns are not those that finecal writes", where=str(file), why=problem,
            hint="Delete it, it will be made again",
        )  # fmt: skip
