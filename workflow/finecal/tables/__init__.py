"""One file per table: tidy numbers from the metrics, and how people see them.

A module's docstring begins with the caption; `build(metrics)` gives the tidy table, `present(tidy)` the same in
words, percent and brackets.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from finecal import artifacts
from finecal.errors import unknown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FOLDER = Path(__file__).parent
SUFFIXES = (".parquet", ".csv", ".md", ".tex")


@cache
def names() -> tuple[str, ...]:
    """The tables there are, sorted."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_")))


def source_file(name: str) -> Path:
    """The file that defines a table; a UserError with the closest names if there is none."""
    if name not in names():
        raise unknown("table", name, names())
    return FOLDER / f"{name}.py"


def load(name: str) -> ModuleType:
    """Import the module of a table."""
    source_file(name)
    return importlib.import_module(f"finecal.tables.{name}")


@cache
def caption(name: str) -> str:
    """The first paragraph of the module's docstring on one line, read without importing it."""
    docstring = ast.get_docstring(ast.parse(source_file(name).read_text("utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


def write(name: str, metrics: pd.DataFrame, stem: str | Path, *, provenance: Mapping[str, Any]) -> None:
    """Write one table as `stem` + .parquet (tidy, with provenance), .csv, .md and .tex (as people see it)."""
    from finecal.tables._text import csv, latex, markdown

    module = load(name)
    tidy = module.build(metrics)
    shown = module.present(tidy)
    artifacts.write_table(f"{stem}.parquet", as_arrow(tidy), provenance=provenance)
    artifacts.write_text(f"{stem}.csv", csv(shown))
    artifacts.write_text(f"{stem}.md", markdown(shown, caption(name)))
    artifacts.write_text(f"{stem}.tex", latex(shown, caption(name), label=f"tab:{name}"))


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    """A data frame as an Arrow table: text as string, no index, no pandas metadata."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    text = {
        field.name for field in table.schema if pa.types.is_large_string(field.type) or pa.types.is_null(field.type)
    }
    fields = [pa.field(f.name, pa.string()) if f.name in text else f for f in table.schema]
    return table.cast(pa.schema(fields))
