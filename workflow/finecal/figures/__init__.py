"""One file per figure: from aggregated tables to a figure and the tidy table that it draws.

A module's docstring begins with the caption, `NEEDS` names the aggregated tables, and `draw(*tables)` gives the
matplotlib figure and the drawn numbers.
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
from finecal.tables import as_arrow

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parent
SUFFIXES = (".svg", ".png", ".parquet")
DPI = 200


@cache
def names() -> tuple[str, ...]:
    """The figures there are, sorted."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_")))


def source_file(name: str) -> Path:
    """The file that defines a figure; a UserError with the closest names if there is none."""
    if name not in names():
        raise unknown("figure", name, names())
    return FOLDER / f"{name}.py"


def load(name: str) -> ModuleType:
    """Import the module of a figure."""
    source_file(name)
    return importlib.import_module(f"finecal.figures.{name}")


@cache
def _source(name: str) -> ast.Module:
    return ast.parse(source_file(name).read_text("utf-8"))


def caption(name: str) -> str:
    """The first paragraph of the module's docstring on one line, read without importing it."""
    return " ".join((ast.get_docstring(_source(name)) or "").partition("\n\n")[0].split())


def needs(name: str) -> tuple[str, ...]:
    """The aggregated tables that a figure draws, in the order of its arguments, read without importing it."""
    for node in _source(name).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "NEEDS":
            return tuple(ast.literal_eval(node.value))
    raise AssertionError(f"the figure {name} has no NEEDS")


def draw(name: str, tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Draw one figure in the shared style from the aggregated tables that it needs."""
    from finecal.figures._style import style

    with style():
        figure, data = load(name).draw(*(tables[needed] for needed in needs(name)))
    return figure, data


def save(figure: Figure, data: pd.DataFrame, stem: str | Path, provenance: Mapping[str, Any]) -> None:
    """Write `stem` + .svg, .png and .parquet (the numbers drawn, with provenance), each whole or not at all.

    The bytes depend on the figure alone: no date, and ids in the SVG from a fixed salt.
    """
    from finecal.figures._style import style

    with style():
        for suffix in ("svg", "png"):
            unsaid = {"Date": None, "Creator": None} if suffix == "svg" else {"Software": None}
            with artifacts.whole_file(f"{stem}.{suffix}") as temporary:
                figure.savefig(temporary, format=suffix, dpi=DPI, metadata=unsaid)
    artifacts.write_table(f"{stem}.parquet", as_arrow(data), provenance=provenance)


def draw_and_save(
    name: str, tables: Mapping[str, pd.DataFrame], stem: str | Path, *, provenance: Mapping[str, Any]
) -> None:
    """`draw`, then `save`."""
    figure, data = draw(name, tables)
    save(figure, data, stem, provenance)
