"""Make tables and figures from the aggregated tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finecal import paths
from finecal.io.parquet import read_table
from finecal.io.provenance import provenance
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan

if TYPE_CHECKING:
    import pandas as pd


def table(plan: Plan, name: str) -> None:
    """Write results/tables/{name}.parquet, .csv, .md and .tex."""
    from finecal import tables

    needs = tables.needs(name)
    record = provenance(
        Identities(plan).of("table", {"table": name}).record(), inputs=[table_path(need) for need in needs]
    )
    frames = {need: read_aggregated(need) for need in needs}
    tables.write(name, frames, paths.TABLE.format(table=name), provenance=record)


def figure(plan: Plan, name: str) -> None:
    """Write results/figures/{name}.svg, .png and .parquet (the numbers drawn)."""
    from finecal import figures

    needs = figures.needs(name)
    record = provenance(
        Identities(plan).of("figure", {"figure": name}).record(), inputs=[table_path(need) for need in needs]
    )
    frames = {need: read_aggregated(need) for need in needs}
    figures.draw_and_save(name, frames, paths.FIGURE.format(figure=name), provenance=record)


def table_path(name: str) -> str:
    """Return the file of an aggregated table."""
    return f"{paths.TABLE.format(table=name)}.parquet"


def read_aggregated(name: str) -> pd.DataFrame:
    """Read an aggregated table."""
    frame: pd.DataFrame = read_table(table_path(name)).to_pandas()
    return frame
