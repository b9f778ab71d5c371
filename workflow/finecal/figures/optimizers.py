"""AUSUC, the area under the seen–unseen curve per test sample (from 0 to 1, written in hundredths), after fine-tuning
with different optimisers, learning rates of the head and weight decays. A cell is the mean over runs; the colours of
all panels have one scale.

F5 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from finecal import display
from finecal.analysis.statistics import intervals
from finecal.figures import _style
from finecal.paths import CELL_KEYS, RUN_KEYS

AXIS = "training"
NEEDS = ("metrics", "runs")
ABSENT = True

NAMES = {
    "sgd": "SGD", "momentum": "SGD, plain momentum", "adam": "Adam", "adamw": "AdamW", "adabelief": "AdaBelief",
    "adadelta": "Adadelta", "adagrad": "Adagrad", "rmsprop": "RMSprop",
}  # fmt: skip
COLORS = "YlGnBu"
# As those of a setting, with the built-in recipe: each cell of a grid is a recipe of its own.
GRID_KEYS = ("dataset", "task", "backbone", "built_in_recipe")
COLUMNS = 3


def draw(metrics: pd.DataFrame, runs: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with its `numbers`."""
    data = numbers(metrics, runs)
    panels = list(data.groupby([*GRID_KEYS, "optimizer"], sort=False))
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    tall = max(part["lr"].nunique() for _, part in panels)
    figure = _style.new_figure(min(_style.DOUBLE, 1.6 + 1.9 * columns), max(2.0, 0.45 + rows * (0.75 + 0.24 * tall)))
    axes = figure.subplots(rows, columns, squeeze=False)
    scale = Normalize(data["mean"].min(), max(data["mean"].max(), data["mean"].min() + 0.01))
    several = [name for name in GRID_KEYS if data[name].nunique() > 1]
    image: Any = None
    for ax, (key, part) in zip(axes.flat, panels, strict=False):
        names = dict(zip([*GRID_KEYS, "optimizer"], map(str, key), strict=True))
        where = [display.task(names[name]) if name == "task" else names[name] for name in several]
        image = _draw_panel(ax, part, scale)
        ax.set_title("\n".join([*where, NAMES.get(names["optimizer"], names["optimizer"])]), pad=4)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("Learning rate")
    for number in range(columns):
        axes[(len(panels) - 1 - number) // columns, number].set_xlabel("Weight decay")
    bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.02)
    bar.set_label(f"AUSUC ({_style.runs_range(data['n_runs'])} each)")
    bar.outline.set_visible(False)
    return figure, data


def numbers(metrics: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, tidy, with a row per cell.

    Columns: dataset, task, backbone, built_in_recipe, optimizer, lr, weight_decay, the recipe's name in the study, and
    mean, low, high of AUSUC over n_runs runs.
    """
    keys = list(RUN_KEYS)
    what = ["built_in_recipe", "optimizer", "lr", "weight_decay"]
    plain = (metrics["classifier"] == "fine_tuned") & (metrics["calibrator"] == "none")
    area = metrics[plain & (metrics["metric"] == "ausuc")].merge(runs[[*keys, *what]], on=keys, validate="one_to_one")
    cells = area.groupby(list(GRID_KEYS), sort=False)["recipe"].transform("nunique")
    area = area[cells > 1] if (cells > 1).any() else area
    # Cells are compared, so all must be means over the same splits and seeds: those that most recipes have.
    recipes = area.groupby([*GRID_KEYS, *CELL_KEYS])["recipe"].transform("nunique")
    area = area[recipes == recipes.groupby([area[name] for name in GRID_KEYS]).transform("max")]
    return intervals(area, [*GRID_KEYS[:3], *what, "recipe"], "value")


def _draw_panel(ax: Any, data: pd.DataFrame, scale: Normalize) -> Any:
    table = data.pivot_table(index="lr", columns="weight_decay", values="mean", sort=True).sort_index(ascending=False)
    values = table.to_numpy()
    colors = colormaps[COLORS].with_extremes(bad="0.9")
    image = ax.imshow(np.ma.masked_invalid(values), cmap=colors, norm=scale, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        dark = np.dot(colors(scale(value))[:3], (0.299, 0.587, 0.114)) < 0.5
        words = display.NOTHING if math.isnan(value) else f"{100 * value:.0f}"
        ax.text(column, row, words, ha="center", va="center", fontsize=7.5, color="white" if dark else "black")
    ax.set_xticks(range(len(table.columns)), [f"{value:g}" for value in table.columns])
    ax.set_yticks(range(len(table.index)), [f"{value:g}" for value in table.index])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image
