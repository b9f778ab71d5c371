"""Accuracy on all classes when γ is not quite what a calibrator has chosen: lines are means over runs with 95 %
intervals as bands, the dot is the chosen γ. The dashed line is the highest accuracy of any γ, the grey area (mean of
its ends over runs) the γ that stay within 1 point of it.

All numbers are from the exact seen–unseen curve of the test samples. See the table `gamma_sensitivity`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finecal import display
from finecal.analysis.statistics import intervals
from finecal.figures import _style
from finecal.tables import _gamma
from finecal.tables._gamma import CALIBRATOR_KEYS

NEEDS = ("curve", "calibration")
ABSENT = True

POINTS = 121  # of the grid of γ
COLUMNS = 2


def draw(curve: pd.DataFrame, calibration: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with its `numbers`."""
    data = numbers(curve, calibration)
    settings = display.settings(data, ", ")
    panels = list(data[CALIBRATOR_KEYS].drop_duplicates().itertuples(index=False, name=None))
    rows = math.ceil(len(panels) / COLUMNS)
    lines = 2 if len(settings) > 1 else 1
    figure = _style.new_figure(_style.SINGLE, 0.75 + rows * (1.05 + 0.14 * lines))
    axes = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, key in zip(axes, panels, strict=False):
        part = data[(data[CALIBRATOR_KEYS] == list(key)).all(axis=1)]
        _draw_panel(ax, part)
        words = _style.CALIBRATED[key[4]].label if key[4] in _style.CALIBRATED else display.calibrator(key[4])
        title = f"{words}{' (upper bound)' if display.reads_test(key[5]) else ''}"
        ax.set_title(f"{title}\n{settings[key[:4]]}" if lines > 1 else title, pad=3, fontsize=7.5)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for ax in axes[: len(panels)][-COLUMNS:]:  # the lowest of each column, also where the last row is not full
        ax.tick_params(labelbottom=True)
    figure.supxlabel("γ − chosen γ", fontsize=8)
    n = int(data["n_runs"].max()) if len(data) else 0
    figure.supylabel(f"Accuracy on all classes (%), {_style.runs_words(n)}", fontsize=8)
    return figure, data


def numbers(curve: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, tidy, accuracies in %.

    Elements: line (offset = γ − chosen γ; mean, low, high of acc_y_y over runs), best (the highest acc_y_y), and the
    ends tolerated_low and tolerated_high, whose mean is a γ − chosen γ.
    """
    found = list(_gamma.chosen_gammas(curve, calibration))
    ends = [(s.tolerated_interval(), gamma) for _, gamma, s in found]
    reach = max([1e-6, *(1.15 * max(abs(low - gamma), abs(high - gamma)) for (low, high), gamma in ends)])
    grid = np.linspace(-reach, reach, POINTS)
    frames = []
    for (names, gamma, steps), ((low, high), _) in zip(found, ends, strict=True):
        value = 100 * steps.at(gamma + grid)
        frames.append(pd.DataFrame({**names, "element": "line", "offset": grid, "value": value}))
        single = {
            "best": 100 * float(steps.accuracy.max()),
            "tolerated_low": low - gamma,
            "tolerated_high": high - gamma,
        }
        frames.append(pd.DataFrame({**names, "element": [*single], "offset": 0.0, "value": [*single.values()]}))
    return intervals(pd.concat(frames, ignore_index=True), [*CALIBRATOR_KEYS, "element", "offset"], "value")


def _draw_panel(ax: Any, part: pd.DataFrame) -> None:
    line = part[part["element"] == "line"].sort_values("offset")
    single = part[part["element"] != "line"].set_index("element")["mean"]
    calibrator = part["calibrator"].iloc[0]
    color = _style.CALIBRATED[calibrator].color if calibrator in _style.CALIBRATED else _style.BLACK
    ax.axvspan(single["tolerated_low"], single["tolerated_high"], color="0.9", linewidth=0, zorder=0)
    ax.axhline(single["best"], color="0.45", linestyle=(0, (3.5, 1.5)), linewidth=0.8, zorder=1)
    ax.axvline(0, color="0.45", linewidth=0.6, zorder=1)
    ax.fill_between(line["offset"], line["low"], line["high"], color=color, alpha=0.25, linewidth=0, zorder=2)
    ax.plot(line["offset"], line["mean"], color=color, zorder=3)
    chosen = line.iloc[len(line) // 2]
    ax.plot(0, chosen["mean"], "o", color=color, markeredgecolor="white", markeredgewidth=0.6, zorder=4)
    ax.margins(x=0)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
