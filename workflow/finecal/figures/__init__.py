"""One file per figure: from aggregated tables to a figure and the tidy table that it draws.

A module's docstring begins with the caption, and `NEEDS` names the aggregated tables. `AXIS`, if there is one, says
what a study must vary for the figure to show something (see `finecal.plan.axes`). With `ABSENT = True` the figure shows
only runs that have test samples of absent classes. `draw(*tables)` returns the matplotlib figure and the numbers drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finecal import registry
from finecal.io import parquet
from finecal.io.atomic import whole_file
from finecal.tables import as_arrow

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".parquet")
DPI = 200
NO_ABSENT = "Nothing to show: no run has test samples of absent classes."


def caption(name: str) -> str:
    """Return the caption of a figure: the first paragraph of its module's docstring."""
    return registry.description("figure", name)


def needs(name: str) -> tuple[str, ...]:
    """Return the aggregated tables that `draw` takes, in their order, without importing the figure's module."""
    tables: tuple[str, ...] = registry.constant("figure", name, "NEEDS")
    return tables


def draw(name: str, tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Draw one figure in the shared style from the aggregated tables that it needs."""
    import pandas as pd

    from finecal.analysis.statistics import with_absent
    from finecal.figures._style import message_figure, style

    frames = [tables[needed] for needed in needs(name)]
    if registry.constant("figure", name, "ABSENT", False):
        measured = [with_absent(frame) for frame in frames]
        if any(left.empty and not frame.empty for left, frame in zip(measured, frames, strict=True)):
            with style():
                return message_figure(NO_ABSENT), pd.DataFrame({"note": [NO_ABSENT]})
        frames = measured
    with style():
        figure, data = registry.load("figure", name).draw(*frames)
    return figure, data


def save(figure: Figure, data: pd.DataFrame, stem: str | Path, provenance: Mapping[str, Any]) -> None:
    """Write `stem` + .svg, .png and .parquet (the numbers drawn, with provenance), each whole or not at all.

    The bytes depend only on the figure: they contain no date, and the ids in the SVG come from a fixed salt.
    """
    from finecal.figures._style import style

    with style():
        for suffix in ("svg", "png"):
            left_out = {"Date": None, "Creator": None} if suffix == "svg" else {"Software": None}
            with whole_file(f"{stem}.{suffix}") as temporary:
                figure.savefig(temporary, format=suffix, dpi=DPI, metadata=left_out)
    parquet.write_table(f"{stem}.parquet", as_arrow(data), provenance=provenance)


def draw_and_save(
    name: str, tables: Mapping[str, pd.DataFrame], stem: str | Path, *, provenance: Mapping[str, Any]
) -> None:
    """Draw one figure and write its files, see `draw` and `save`."""
    figure, data = draw(name, tables)
    save(figure, data, stem, provenance)
