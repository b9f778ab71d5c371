"""What the jobs took: at the left wall and CPU time of a job, at the right the peaks of its main memory and of its GPU
memory, as the jobs and torch measured them, on logarithmic scales. Marks are medians over jobs, small marks single
jobs; at the right edge the jobs and the wall time of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from finecal import display
from finecal.figures import _style
from finecal.tables import _cost
from finecal.tables._cost import KEYS

NEEDS = ("cost",)

FIRST = _style.Look("", _style.BLACK, "-", "o")
SECOND = _style.Look("", _style.SKY, "-", "s")
# Title of a panel → its quantities, with their words and looks.
PANELS = {
    "Time of a job": {"wall_seconds": ("wall time", FIRST), "cpu_seconds": ("CPU time", SECOND)},
    "Peak memory of a job": {
        "peak_memory_mib": ("main memory", FIRST),
        "peak_gpu_memory_mib": ("GPU memory", SECOND),
    },
}
SECONDS = (0.1, 1, 10, 60, 600, 3600, 36_000, 360_000, 3_600_000)
MIB = tuple(float(2**power) for power in range(26))


def draw(cost: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with its `numbers`."""
    data = numbers(cost)
    rows = list(dict.fromkeys(data["row"]))
    figure = _style.new_figure(_style.DOUBLE, 0.85 + _style.rows_height(rows, least=0.34))
    axes = figure.subplots(1, len(PANELS), sharey=True)
    scales = ((SECONDS, display.duration), (MIB, _cost.memory))
    for ax, (title, looks), (ticks, words) in zip(axes, PANELS.items(), scales, strict=True):
        for name, (label, look) in looks.items():
            drawn = _draw_marks(ax, data[data["quantity"] == name], rows, look, shift=0.16 if look is SECOND else -0.16)
            ax.plot([], [], look.marker, color=look.color, label=label if drawn else f"{label} not measured")
        values = data["value"][data["quantity"].isin(list(looks)) & (data["value"] > 0)]
        _scale(ax, values.tolist(), ticks, words)
        _style.mark_rows(ax, rows)
        ax.legend(
            loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=0, ncols=2, title=title, alignment="left",
            handlelength=1, columnspacing=1.2,
        )  # fmt: skip
    _write_totals(axes[-1], data, rows)
    return figure, data


def numbers(cost: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, tidy.

    Columns: element (median or job), coordinates, device, quantity, value (seconds or MiB), n_jobs.
    `row` is the label at the left. The totals of wall time are elements, too.
    """
    jobs = _cost.with_labels(cost)
    own = ["domain", "task", "split", "seed"]
    quantities = [name for looks in PANELS.values() for name in looks]
    single = jobs.melt(["row", *KEYS, *own], quantities, var_name="quantity").assign(element="job", n_jobs=1)
    groups = single.groupby(["row", *KEYS, "quantity"], sort=False)["value"]
    medians = groups.agg(value="median", n_jobs="count").reset_index().assign(element="median")
    totals = groups.agg(value=lambda values: values.sum(min_count=1), n_jobs="size").reset_index()
    totals = totals[totals["quantity"] == "wall_seconds"].assign(element="total")
    data = pd.concat([medians, totals, single], ignore_index=True)
    data["seed"] = data["seed"].astype("Int64")
    return data[["element", "row", *KEYS, *own, "quantity", "value", "n_jobs"]]


def _draw_marks(ax: Any, data: pd.DataFrame, rows: list[str], look: _style.Look, *, shift: float) -> bool:
    """Draw the marks of a quantity; return whether there was any: a missing or zero value has no place on the scale."""
    found = data[data["value"] > 0]
    for element, faint in (("job", {"markersize": 2.8, "alpha": 0.4, "markeredgewidth": 0, "zorder": 2}),
                           ("median", {"markeredgecolor": "white", "markeredgewidth": 0.6, "zorder": 4})):  # fmt: skip
        part = found[found["element"] == element]
        heights = [rows.index(row) + shift for row in part["row"]]
        ax.plot(part["value"], heights, look.marker, color=look.color, **faint)
    return not found.empty


def _scale(ax: Any, values: Sequence[float], ticks: Sequence[float], words: Any) -> None:
    """Set a logarithmic scale over the values, with at most five ticks."""
    low, high = (min(values), max(values)) if values else (ticks[1], ticks[2])
    first = max(0, int(np.searchsorted(ticks, low * 1.05, side="right")) - 1)
    last = min(len(ticks) - 1, max(first + 1, int(np.searchsorted(ticks, high / 1.05))))
    step = -(-(last - first) // 4)
    ax.set_xscale("log")
    ax.set_xlim(ticks[first] / 1.15, ticks[last] * 1.15)
    ax.xaxis.set_major_locator(FixedLocator(list(ticks[first : last + 1 : step])))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value).replace(".0 ", " ")))
    ax.grid(axis="x", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


def _write_totals(ax: Any, data: pd.DataFrame, rows: list[str]) -> None:
    beside: Any = {"xycoords": ax.get_yaxis_transform(), "fontsize": 7.5, "va": "center"}
    total: Any
    for total in data[data["element"] == "total"].itertuples():
        words = f"{display.count(total.n_jobs, 'job')}\n{display.duration(total.value)}"
        ax.annotate(words, (1.03, rows.index(total.row)), **beside)
