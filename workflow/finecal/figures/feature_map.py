"""Feature map: features of the target's test samples before and after fine-tuning, both in one shared t-SNE, for one
run of each setting (its first split and seed). Each mark is a sample, of more than 1,000 about so many drawn with the
same part of every class; class names stand at the sample nearest to the median. Axes have no unit.

F8 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from finecal import display
from finecal.analysis.statistics import of_setting
from finecal.figures import _labels, _style
from finecal.paths import RUN_KEYS

NEEDS = ("feature_map",)

STAGES = {"before": "before fine-tuning", "after": "after fine-tuning"}
NAMED = 20  # the names of more classes would overlap


def draw(feature_map: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with the numbers drawn, which are those of the table."""
    columns = [*RUN_KEYS, "stage", "sample", "label", "name", "group", "x", "y"]
    data = feature_map[columns].reset_index(drop=True)
    settings = display.settings(data)
    figure = _style.new_figure(_style.DOUBLE, 0.35 + 3.3 * len(settings))
    axes = figure.subplots(len(settings), 2, squeeze=False, sharex="row", sharey="row")
    for row, (key, title) in zip(axes, settings.items(), strict=True):
        part = of_setting(data, key)
        first = part.iloc[0]
        samples = display.count(part["sample"].nunique(), "test sample")
        for ax, (stage, words) in zip(row, STAGES.items(), strict=True):
            _draw_panel(ax, part[part["stage"] == stage])
            ax.set_title(f"\n{words[:1].upper()}{words[1:]}", pad=4)
        run = f"{title}, {first['split']}, seed {first['seed']} ({samples})"
        row[0].set_title(run + row[0].get_title("left"), pad=4)
    handles = [axes[0, 0].scatter([], [], **_mark(look, 16), label=look.label) for look in _style.GROUPS.values()]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    _labels.keep_inside(figure)
    return figure, data


def _mark(look: _style.Look, size: float) -> dict[str, Any]:
    """Return the look of a mark: S hollow circles, U filled diamonds, to be told apart without colours too."""
    hollow = look is _style.S
    return {
        "s": size, "marker": look.marker, "facecolors": "none" if hollow else look.color,
        "edgecolors": look.color if hollow else "none", "linewidths": 0.6,
    }  # fmt: skip


def _draw_panel(ax: Any, data: pd.DataFrame) -> None:
    for group, look in _style.GROUPS.items():
        part = data[data["group"] == group]
        ax.scatter(part["x"], part["y"], **_mark(look, 9 if len(data) <= 600 else 6), alpha=0.75)
    if data["label"].nunique() <= NAMED:
        for _, part in data.groupby("label", sort=False):
            places = part[["x", "y"]].to_numpy()
            x, y = places[np.square(places - np.median(places, axis=0)).sum(axis=1).argmin()]
            ax.text(
                x, y, part["name"].iloc[0], color=_style.GROUPS[part["group"].iloc[0]].color, fontsize=9, zorder=3,
                ha="center", va="center", weight="bold", path_effects=[withStroke(linewidth=2.5, foreground="white")],
            )  # fmt: skip
    ax.set(xticks=[], yticks=[])
    ax.set_box_aspect(1)
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("0.7")
