"""Concatenate one kind of table over all runs of the selected studies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from finecal import paths
from finecal.errors import UserError, unknown
from finecal.io.parquet import read_metadata, read_schema, read_table, write_parts
from finecal.io.provenance import provenance
from finecal.paths import RunKey
from finecal.plan.identities import Identities, check_made_as_planned
from finecal.plan.plan import Plan
from finecal.plan.stages import STAGES

# Fitted arrays can be as large as the model's head: numbers alone are brought together.
LEFT_OUT = "values"


def aggregate(plan: Plan, name: str) -> None:
    """Write results/tables/{name}.parquet; its rows keep the order of the runs in the plan.

    The runs are read one after another: the memory it takes does not grow with their number.

    Raises
    ------
    UserError
        If no run has such a table, or one has other columns than the first.
    """
    if name not in paths.AGGREGATED:
        raise unknown("aggregated table", name, paths.AGGREGATED)
    if not plan.runs_in(name):
        raise UserError(f"no selected study has a run for the table {name!r}", where="studies")
    files = [run.folder / paths.AGGREGATED[name] for run in plan.runs_in(name)]
    schema = read_schema(files[0])
    record = provenance(Identities(plan).of("aggregate", {}).record(), inputs=files)
    kept = pa.schema([field for field in schema if field.name != LEFT_OUT])
    write_parts(f"{paths.TABLE.format(table=name)}.parquet", _parts(plan, name, schema, kept), kept, provenance=record)


def _parts(plan: Plan, name: str, schema: pa.Schema, kept: pa.Schema) -> Iterator[pa.Table]:
    identities, runs = Identities(plan), plan.runs_in(name)
    first = runs[0].folder / paths.AGGREGATED[name]
    for run in runs:
        file = run.folder / paths.AGGREGATED[name]
        _check_same(read_schema(file), schema, file, first)
        _check_made_as_planned(identities, name, run)
        table = read_table(file, kept).replace_schema_metadata(None)
        yield table if kept == schema else table.filter(pc.is_valid(table["value"]))


def _check_made_as_planned(identities: Identities, name: str, run: RunKey) -> None:
    """No table holds a run under options that it was not made with: neither the run's file nor its training."""
    file = paths.AGGREGATED[name]
    maker = next(stage.name for stage in STAGES.values() if f"{paths.RUN}/{file}" in stage.outputs.values())
    for stage, name_ in {maker: file, "finetune": paths.HISTORY}.items():
        path = run.folder / name_
        if path.exists():  # results may be kept without their training
            check_made_as_planned(identities, stage, run, read_metadata(path), path)


def _check_same(found: pa.Schema, expected: pa.Schema, file: Path, first: Path) -> None:
    if found == expected:
        return
    here, there = ({field.name: str(field.type) for field in schema} for schema in (found, expected))
    names = [name for name in {**there, **here} if here.get(name) != there.get(name)]
    why = (
        f"{names[0]!r} is {here.get(names[0], 'missing')} here and {there.get(names[0], 'missing')} in {first}"
        if names
        else f"They stand in another order than in {first}"
    )
    raise UserError("its columns are not those of the other runs", where=str(file), why=why,
                    hint="Delete the one that is wrong, it will be made again")  # fmt: skip
