"""One file per table: tidy numbers from aggregated tables, and the same as people read them.

A module's docstring begins with the caption, and `NEEDS` names the aggregated tables. `build(*tables)` returns the tidy
table, `present(tidy)` the same as text: words, percent, means with their intervals in brackets.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finecal import registry
from finecal.io import parquet
from finecal.io.atomic import write_text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SUFFIXES = (".parquet", ".csv", ".md", ".tex")


def caption(name: str) -> str:
    """Return the caption of a table: the first paragraph of its module's docstring."""
    return registry.description("table", name)


def needs(name: str) -> tuple[str, ...]:
    """Return the aggregated tables that `build` takes, in their order, without importing the table's module."""
    tables: tuple[str, ...] = registry.constant("table", name, "NEEDS")
    return tables


def build(name: str, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Build the tidy table from the aggregated tables that it needs."""
    tidy: pd.DataFrame = registry.load("table", name).build(*(tables[needed] for needed in needs(name)))
    return tidy


def write(name: str, tables: Mapping[str, pd.DataFrame], stem: str | Path, *, provenance: Mapping[str, Any]) -> None:
    """Write one table as `stem` + .parquet (tidy, with provenance), .csv, .md and .tex (as people read it)."""
    from finecal.tables._text import csv, latex, markdown

    tidy = build(name, tables)
    shown = registry.load("table", name).present(tidy)
    parquet.write_table(f"{stem}.parquet", as_arrow(tidy), provenance=provenance)
    write_text(f"{stem}.csv", csv(shown))
    write_text(f"{stem}.md", markdown(shown, caption(name)))
    write_text(f"{stem}.tex", latex(shown, caption(name), label=f"tab:{name}"))


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    """Convert a data frame to an Arrow table: text as string, no index, no metadata of pandas."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    text = {
        field.name for field in table.schema if pa.types.is_large_string(field.type) or pa.types.is_null(field.type)
    }
    fields = [pa.field(f.name, pa.string()) if f.name in text else f for f in table.schema]
    return table.cast(pa.schema(fields))
