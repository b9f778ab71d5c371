"""Whether the absent classes are still told apart: accuracy on test samples of absent classes, arg-max among absent
classes only, before (above, hollow) and after fine-tuning (below, filled). Marks are means over runs with 95 %
intervals, thin lines single runs; on the right the paired change in points.

F3 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finecal import display
from finecal.analysis.statistics import changes, gains, of_setting
from finecal.figures import _style
from finecal.paths import RUN_KEYS, SETTING_KEYS

NEEDS = ("metrics",)
ABSENT = True
METRIC = "acc_u_u"
STAGES = ("before", "after", "gain")


def draw(metrics: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with its `numbers`."""
    data = numbers(metrics)
    settings = display.settings(data, "\n")
    means = data[data["element"] == "mean"]
    labels, note = _style.row_labels(settings, means.groupby(list(SETTING_KEYS))["n_runs"].max().astype(int).to_dict())
    figure = _style.new_figure(5.0, 0.85 + _style.rows_height(labels, least=0.5))
    ax = figure.subplots()
    for position, key in enumerate(settings):
        _draw_row(ax, of_setting(data, key), position)
    _style.mark_rows(ax, labels)
    ax.margins(x=0.06)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_xlabel("Accuracy on absent classes U among U (%)")
    beside: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": 7.5}
    ax.annotate("Change (points)", (1.02, 1), (0, 3), va="bottom", **beside)
    look = _style.U
    handles = [
        ax.plot([], [], look.marker, color=look.color, markerfacecolor="white", label="pretrained")[0],
        ax.plot([], [], look.marker, color=look.color, label="fine-tuned")[0],
    ]
    figure.legend(handles=handles + _style.legend_remark(ax, note), loc="outside upper center", ncols=3)
    return figure, data


def numbers(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, tidy.

    Columns: element (mean or run), coordinates, stage (before, after, gain), value in %, low, high.
    """
    runs = gains(metrics, [METRIC])
    runs = runs.melt(list(RUN_KEYS), list(STAGES), var_name="stage")
    runs["value"] *= 100
    means = changes(metrics, [METRIC]).rename(columns={"mean": "value"})
    means[["value", "low", "high"]] *= 100
    data = pd.concat([means.assign(element="mean"), runs.assign(element="run")], ignore_index=True)
    data[["seed", "n_runs"]] = data[["seed", "n_runs"]].astype("Int64")
    return data[["element", *SETTING_KEYS, "stage", "value", "low", "high", "n_runs", "split", "seed"]]


def _draw_row(ax: Any, data: pd.DataFrame, position: int) -> None:
    """Draw a setting: before fine-tuning above, after it below; each run is a thin line between them."""
    look, ys = _style.U, [position - 0.2, position + 0.2]
    runs = data[data["element"] == "run"].pivot(index=["split", "seed"], columns="stage", values="value")
    means = data[data["element"] == "mean"].set_index("stage")
    for pair in runs[["before", "after"]].to_numpy():
        ax.plot(pair, ys, color=look.color, alpha=0.35, linewidth=0.6, marker=look.marker, markersize=2, zorder=1)
    ax.plot(means.loc[["before", "after"], "value"], ys, color=look.color, linewidth=1.2, zorder=2)
    for stage, y, fill in zip(("before", "after"), ys, ("white", look.color), strict=True):
        mean = means.loc[stage]
        ax.plot([mean["low"], mean["high"]], [y, y], color=look.color, linewidth=1.6, solid_capstyle="butt", zorder=3)
        ax.plot(mean["value"], y, look.marker, color=look.color, markerfacecolor=fill, markersize=5, zorder=4)
    gain: Any = means.loc["gain"]
    words = display.interval(gain["value"], gain["low"], gain["high"], 1, sign=True)
    ax.annotate(words, (1.02, position), xycoords=ax.get_yaxis_transform(), va="center", fontsize=7.5, color=look.color)
