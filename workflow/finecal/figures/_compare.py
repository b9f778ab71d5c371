"""Compare settings row by row, before and after fine-tuning: shared by the figures of variants."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from finecal import display
from finecal.analysis.statistics import changes, of_setting
from finecal.figures import _style
from finecal.paths import SETTING_KEYS

# Metric → title of its panel, label of its axis, scale, look.
PANELS = {
    "ausuc": ("Seen–unseen curve", "AUSUC", 1.0, _style.FINE_TUNED),
    "acc_u_y": ("U, network head", "Accuracy (%)", 100.0, _style.U),
    "ncm_acc_u_y": ("U, NCM of features", "Accuracy (%)", 100.0, _style.U),
}
STAGES = ("before", "after")


def draw(data: pd.DataFrame) -> Figure:
    """Draw a row for each setting in order of appearance and a panel for each metric, from `numbers`."""
    settings = _setting_labels(data)
    counts = data.groupby(list(SETTING_KEYS))["n_runs"].max().astype(int).to_dict()
    labels, note = _style.row_labels(settings, counts)
    figure = _style.new_figure(_style.DOUBLE, 0.95 + _style.rows_height(labels, least=0.3))
    axes = figure.subplots(1, len(PANELS), sharey=True)
    for ax, (metric, (title, unit, _, look)) in zip(axes, PANELS.items(), strict=True):
        for position, key in enumerate(settings):
            part = of_setting(data[data["metric"] == metric], key)
            _draw_row(ax, part.set_index("stage"), position, look)
        ax.set_title(title, pad=4)
        ax.set_xlabel(unit)
        ax.margins(x=0.12)
        _style.mark_rows(ax, labels)
    handles = [
        axes[0].plot([], [], "o", color=_style.BLACK, markerfacecolor=fill, label=label)[0]
        for label, fill in (("pretrained", "white"), ("fine-tuned", _style.BLACK))
    ]
    figure.legend(handles=handles + _style.legend_remark(axes[0], note), loc="outside upper center", ncols=3)
    return figure


def numbers(metrics: pd.DataFrame, varied: str) -> pd.DataFrame:
    """Return what is drawn, tidy: coordinates, metric, stage (before or after), mean, low, high, n_runs.

    AUSUC lies in [0, 1], accuracies are in %. If some settings differ only in the coordinate `varied`, settings without
    such a counterpart are left out.
    """
    data = changes(metrics, list(PANELS))
    data = data[data["stage"].isin(STAGES)]
    others = [name for name in SETTING_KEYS if name != varied]
    variants = data.groupby(others, sort=False)[varied].transform("nunique")
    data = data[variants > 1] if (variants > 1).any() else data
    scale = data["metric"].map({metric: scale for metric, (_, _, scale, _) in PANELS.items()})
    return data.assign(**{name: data[name] * scale for name in ("mean", "low", "high")}).reset_index(drop=True)


def _setting_labels(data: pd.DataFrame) -> dict[tuple[str, ...], str]:
    """Return each setting with the names that tell it apart, at least one."""
    keys = [tuple(map(str, row)) for row in data[list(SETTING_KEYS)].drop_duplicates().itertuples(index=False)]
    named = [i for i in range(len(SETTING_KEYS)) if len({key[i] for key in keys}) > 1] or [len(SETTING_KEYS) - 1]
    return {
        key: "\n".join(display.task(key[i]) if SETTING_KEYS[i] == "task" else key[i].replace("_", " ") for i in named)
        for key in keys
    }


def _draw_row(ax: Any, means: pd.DataFrame, position: int, look: _style.Look) -> None:
    """Draw the means of a setting: before fine-tuning a little above, after it below."""
    if means.empty:  # a metric that this setting does not have
        return
    ys = [position - 0.12, position + 0.12]
    ax.plot(means.loc[list(STAGES), "mean"], ys, color=look.color, linewidth=0.8)
    for stage, y in zip(STAGES, ys, strict=True):
        mean = means.loc[stage]
        ax.plot([mean["low"], mean["high"]], [y, y], color=look.color, linewidth=1.6, solid_capstyle="butt", zorder=3)
        fill = "white" if stage == "before" else look.color
        ax.plot(mean["mean"], y, look.marker, color=look.color, markerfacecolor=fill, markersize=4.5, zorder=4)
