"""Logit anatomy over epochs: on test samples of absent classes U and of fine-tuning classes S the mean logit of the
true class, of the largest other class of its group, and of the largest class of the other group; at the right the
mean length of the head's weight vectors. Epoch 0 is before fine-tuning; bands are 95 % intervals over
runs.

F7 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finecal import display
from finecal.analysis.statistics import intervals, of_setting
from finecal.figures import _labels, _style
from finecal.paths import RUN_KEYS, SETTING_KEYS

NEEDS = ("history",)
ABSENT = True


class Line(NamedTuple):
    """One column of the history: the group whose logits or weights it measures, and how it is drawn."""

    group: str
    label: str
    strong: bool


PANELS = {
    ("Test samples of U", "Mean logit"): {
        "absent_true": Line("absent", "true class", True),
        "absent_largest_absent": Line("absent", "largest\nother of U", False),
        "absent_largest_fine_tuning": Line("fine_tuning", "largest of S", True),
    },
    ("Test samples of S", "Mean logit"): {
        "fine_tuning_true": Line("fine_tuning", "true class", True),
        "fine_tuning_largest_fine_tuning": Line("fine_tuning", "largest\nother of S", False),
        "fine_tuning_largest_absent": Line("absent", "largest of U", True),
    },
    ("Weight vectors of the head", "Mean L2 norm"): {
        "weight_norm_fine_tuning": Line("fine_tuning", "classes\nof S", True),
        "weight_norm_absent": Line("absent", "classes\nof U", True),
    },
}


def draw(history: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with its `numbers`."""
    data = numbers(history)
    settings = display.settings(history)
    figure = _style.new_figure(_style.DOUBLE, 0.3 + 1.85 * len(settings))
    axes = figure.subplots(len(settings), len(PANELS), squeeze=False, sharex=True)
    labelled = []
    for row, (key, title) in zip(axes, settings.items(), strict=True):
        part = of_setting(data, key)
        for ax, ((samples, quantity), lines) in zip(row, PANELS.items(), strict=True):
            labelled.append((ax, _draw_panel(ax, part, lines)))
            ax.set_title(f"\n{samples}", pad=4)
            ax.set_ylabel(quantity)
        n = _style.runs_words(int(part["n_runs"].max()))
        row[0].set_title(f"{title} ({n}){row[0].get_title('left')}", pad=4)
        row[1].sharey(row[0])  # logits on one scale
        row[1].autoscale_view()
        row[1].tick_params(labelleft=False)
        row[1].set_ylabel("")
    for ax in axes[-1]:
        ax.set_xlabel("Epoch")
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    _labels.write_beside(figure, labelled)
    return figure, data


def numbers(history: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, tidy: coordinates, epoch, quantity (a column of the history), mean, low, high, n_runs."""
    quantities = [name for lines in PANELS.values() for name in lines]
    long = history.melt([*RUN_KEYS, "epoch"], quantities, var_name="quantity")
    return intervals(long, [*SETTING_KEYS, "quantity", "epoch"], "value")


def _draw_panel(ax: Any, data: pd.DataFrame, lines: dict[str, Line]) -> list[_labels.Label]:
    labels = []
    for name, line in lines.items():
        look = _style.GROUPS[line.group]
        part = data[data["quantity"] == name].sort_values("epoch").dropna(subset="mean")
        if part.empty:  # a group of one class has no largest other one
            continue
        ax.fill_between(part["epoch"], part["low"], part["high"], color=look.color, alpha=0.18, linewidth=0)
        ax.plot(
            part["epoch"], part["mean"], color=look.color, linestyle=look.line, linewidth=1.5 if line.strong else 0.8,
            marker=look.marker if line.strong else "", markersize=2.8, markevery=max(1, len(part) // 6),
        )  # fmt: skip
        end = part.iloc[-1]
        labels.append(_labels.Label(end["epoch"], end["mean"], line.label, look.color))
    ax.margins(x=0.02)
    return labels
