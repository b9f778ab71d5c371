"""One file per table: tidy numbers from an aggregated table, and how people see them.

A module's docstring begins with the caption, `NEEDS` names the aggregated tables; `build(*tables)` gives the tidy
table, `present(tidy)` the same in words, percent and brackets.
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
    """What stands above the table: the first paragraph of its module's docstring."""
    return registry.description("table", name)


def needs(name: str) -> tuple[str, ...]:
    """The aggregated tables that a table is made from, in the order of its arguments, read without importing it."""
    tables: tuple[str, ...] = registry.constant("table", name, "NEEDS")
    return tables


def build(name: str, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The tidy table, from the aggregated tables that it needs."""
    tidy: pd.DataFrame = registry.load("table", name).build(*(tables[needed] for needed in needs(name)))
    return tidy


def write(name: str, tables: Mapping[str, pd.DataFrame], stem: str | Path, *, provenance: Mapping[str, Any]) -> None:
    """Write one table as `stem` + .parquet (tidy, with provenance), .csv, .md and .tex (as people see it)."""
    from finecal.tables._text import csv, latex, markdown

    tidy = build(name, tables)
    shown = registry.load("table", name).present(tidy)
    parquet.write_table(f"{stem}.parquet", as_arrow(tidy), provenance=provenance)
    write_text(f"{stem}.csv", csv(shown))
    write_text(f"{stem}.md", markdown(shown, caption(name)))
    write_text(f"{stem}.tex", latex(shown, caption(name), label=f"tab:{name}"))


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    """A data frame as an Arrow table: text as string, no index, no pandas metadata."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    text = {
        field.name for field in table.schema if pa.types.is_large_string(field.type) or pa.types.is_null(field.type)
    }
    fields = [pa.field(f.name, pa.string()) if f.name in text else f for f in table.schema]
    return table.cast(pa.schema(fields))
