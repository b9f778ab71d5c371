"""What fine-tuning gained and lost: accuracy of the fine-tuned minus the pretrained model, for the network's own
head and for the nearest class mean of its features (NCM). Marks are means over runs with 95 % intervals,
small marks single runs.

F1 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from finecal import display
from finecal.analysis.statistics import changes, gains
from finecal.figures import _style
from finecal.paths import SETTING_KEYS

NEEDS = ("metrics",)

# Metric → whose predictions, which test samples.
BARS = {
    "acc_s_y": ("network head", "fine_tuning"),
    "acc_u_y": ("network head", "absent"),
    "ncm_acc_s_y": ("NCM of features", "fine_tuning"),
    "ncm_acc_u_y": ("NCM of features", "absent"),
}
PANELS = ("network head", "NCM of features")
OFFSET = {"fine_tuning": -0.19, "absent": 0.19}


def draw(metrics: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with its `numbers`."""
    data = numbers(metrics)
    settings = display.settings(data, "\n")
    means = data[data["element"] == "mean"]
    labels, note = _style.row_labels(settings, means.groupby(list(SETTING_KEYS))["n_runs"].max().astype(int).to_dict())
    figure = _style.new_figure(_style.DOUBLE, 0.85 + _style.rows_height(labels, least=0.5))
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, predictions in zip(axes, PANELS, strict=True):
        _draw_panel(ax, data[data["predictions"] == predictions], list(settings))
        ax.set_title(f"{predictions[:1].upper()}{predictions[1:]}", pad=4)
        ax.set_xlabel("Change of accuracy (percentage points)")
        _style.mark_rows(ax, labels)
    axes[0].margins(x=0.22)  # room for the numbers beside the marks
    looks = _style.GROUPS.values()
    handles = [axes[0].plot([], [], look.marker, color=look.color, label=look.label)[0] for look in looks]
    figure.legend(handles=handles + _style.legend_remark(axes[0], note), loc="outside upper center", ncols=3)
    return figure, data


def numbers(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, tidy; gains in percentage points."""
    runs = gains(metrics, list(BARS))
    runs["gain"] *= 100
    means = changes(metrics, list(BARS)).query("stage == 'gain'").rename(columns={"mean": "gain"})
    means[["gain", "low", "high"]] *= 100
    runs = runs.drop(columns=["before", "after", "n"])
    data = pd.concat([means.assign(element="mean"), runs.assign(element="run")], ignore_index=True)
    data["predictions"] = data["metric"].map(lambda name: BARS[name][0])
    data["group"] = data["metric"].map(lambda name: BARS[name][1])
    data["seed"] = data["seed"].astype("Int64")
    data["n_runs"] = data["n_runs"].astype("Int64")
    order = ["predictions", "group", "gain", "low", "high", "n_runs", "split", "seed"]
    return data[["element", *SETTING_KEYS, "metric", *order]]


def _draw_panel(ax: Any, data: pd.DataFrame, settings: list[tuple[str, ...]]) -> None:
    ax.axvline(0, color="0.5", linewidth=0.7, zorder=1)
    for (*key, group), part in data.groupby([*SETTING_KEYS, "group"]):
        look, y = _style.GROUPS[str(group)], settings.index(tuple(map(str, key))) + OFFSET[str(group)]
        runs, mean = part[part["element"] == "run"]["gain"], part[part["element"] == "mean"].iloc[0]
        faint = {"markersize": 2.8, "alpha": 0.4, "markeredgewidth": 0, "zorder": 2}
        ax.plot(runs, [y] * len(runs), look.marker, color=look.color, **faint)
        ax.plot([mean["low"], mean["high"]], [y, y], color=look.color, linewidth=1.6, solid_capstyle="butt", zorder=3)
        ax.plot(mean["gain"], y, look.marker, color=look.color, markeredgecolor="white", markeredgewidth=0.6, zorder=4)
        right = mean["gain"] >= 0
        ends = [*runs, *(end for end in (mean["low"], mean["high"]) if not math.isnan(end))]
        ax.annotate(
            display.number(mean["gain"], 1, sign=True), (max(ends) if right else min(ends), y),
            (6 if right else -6, 0), textcoords="offset points", ha="left" if right else "right", va="center",
            fontsize=7.5, color=look.color,
        )  # fmt: skip
