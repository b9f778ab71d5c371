"""How much data γ needs: γ and accuracy on all classes of calibrators fitted on some samples per class. Lines are
means, bands the middle 95 % of random draws (20 in each run) and runs together; the last mark is all samples. Dashed:
γ*, the best γ for the test labels, an upper bound.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finecal import display
from finecal.analysis.statistics import of_setting
from finecal.figures import _style
from finecal.tables import _gamma_data as table

NEEDS = ("gamma_draws",)

LOOKS = ((_style.BLACK, "o"), (_style.SKY, "v"), (_style.GREY, "X"), (_style.BLUE, "D"), (_style.RED, "P"))
PANELS = (("gamma", "γ", 1), ("acc_y_y", "Accuracy on all classes (%)", 100))


def draw(gamma_draws: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with the rows of the table `gamma_data`."""
    data = table.build(gamma_draws)
    settings = display.settings(data, " · ")
    names = list(dict.fromkeys(data["calibrator"]))
    figure = _style.new_figure(_style.SINGLE, 0.55 + 0.16 * ((len(names) + 3) // 3) + 1.75 * len(settings))
    axes = figure.subplots(len(settings), 2, sharex=True, squeeze=False)
    for row, (key, title) in zip(axes, settings.items(), strict=True):
        part = of_setting(data, key)
        for ax, (quantity, words, scale) in zip(row, PANELS, strict=True):
            if part[quantity].notna().any():
                _draw_panel(ax, part, quantity, scale, names)
            else:  # accuracies without test samples of absent classes
                ax.text(0.5, 0.5, "not measured", ha="center", va="center", transform=ax.transAxes)
                ax.set_yticks([])
            ax.set_ylabel(words)
        row[0].set_title(f"{title} ({_style.runs_words(int(part['n_runs'].max()))})", pad=4)
    figure.supxlabel("Samples per class", fontsize=8)
    handles = []
    for name in names:
        color, marker = _look(name, names)
        handles += axes[0, 0].plot(
            [], [], f"{marker}-", color=color, label=display.marked(display.calibrator(name), name == "oracle")
        )
    handles.append(axes[0, 0].plot([], [], color="0.45", linestyle=(0, (3.5, 1.5)), linewidth=0.9, label="γ*")[0])
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure, data


def _draw_panel(ax: Any, part: pd.DataFrame, quantity: str, scale: float, names: list[str]) -> None:
    for name, lines in part.groupby("calibrator", sort=False):
        one = lines.sort_values("n_per_class")
        color, marker = _look(str(name), names)
        low, high = one[f"{quantity}_low"] * scale, one[f"{quantity}_high"] * scale
        ax.fill_between(one["n_per_class"], low, high, color=color, alpha=0.2, linewidth=0)
        ax.plot(one["n_per_class"], one[quantity] * scale, f"{marker}-", color=color, markersize=3, linewidth=1.1)
    best = part[f"best_{quantity}"].iloc[0] * scale
    ax.axhline(best, color="0.45", linestyle=(0, (3.5, 1.5)), linewidth=0.9, zorder=1)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_major_locator(MaxNLocator(5))


def _look(name: str, names: list[str]) -> tuple[str, str]:
    if name in _style.CALIBRATED:
        return _style.CALIBRATED[name].color, _style.CALIBRATED[name].marker
    others = [other for other in names if other not in _style.CALIBRATED]
    return LOOKS[others.index(name) % len(LOOKS)]
