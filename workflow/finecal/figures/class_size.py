"""How many classes S has: AUSUC per test sample and, with γ, accuracy of the test samples of S and of U, arg-max over
all classes, against the number of classes in S. S is drawn at random, or so that its classes are similar (clustered).
Marks are means over runs with 95 % intervals.

F4 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from finecal import display
from finecal.analysis.statistics import intervals, of_setting
from finecal.figures import _style
from finecal.paths import RUN_KEYS, SETTING_KEYS

AXIS = "class_size"
NEEDS = ("metrics", "runs")
ABSENT = True

GAMMA = ("alg", "oracle")  # the first that the study has gives γ
LOOKS = {"ausuc": _style.FINE_TUNED, "acc_s_y": _style.S, "acc_u_y": _style.U}
APART = 0.07  # distance between the kinds of split, in classes


def draw(metrics: pd.DataFrame, runs: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with its `numbers`."""
    data = numbers(metrics, runs)
    settings = display.settings(data)
    kinds = sorted(data["split_kind"].unique(), key=lambda kind: (kind != "random", kind))
    figure = _style.new_figure(_style.DOUBLE, 0.6 + 2.1 * len(settings))
    rows = figure.subplots(len(settings), 2, squeeze=False)
    for axes, (key, title) in zip(rows, settings.items(), strict=True):
        part = of_setting(data, key)
        for ax, names in zip(axes, (["ausuc"], ["acc_s_y", "acc_u_y"]), strict=True):
            _draw_panel(ax, part[part["metric"].isin(names)], kinds)
            ax.set_xlabel("Classes in S")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].set_ylabel("AUSUC")
        axes[1].set_ylabel("Accuracy (%)")
        axes[0].set_title(title if len(settings) > 1 else "", pad=4)
        axes[1].set_title(_gamma_title(part), pad=4)
    figure.legend(handles=_handles(rows[0, 0], data, kinds), loc="outside upper center", ncols=5)
    return figure, data


def numbers(metrics: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, tidy.

    Columns: coordinates, split_kind, n_fine_tuning, n_absent, metric, calibrator, mean, low, high, n_runs.
    AUSUC lies in [0, 1], accuracies are in %. Settings with only one size are left out if others have more.
    """
    keys = list(RUN_KEYS)
    what = ["split_kind", "n_fine_tuning", "n_absent"]
    tuned = metrics[metrics["classifier"] == "fine_tuned"].merge(runs[[*keys, *what]], on=keys, validate="many_to_one")
    gamma = next((name for name in GAMMA if (tuned["calibrator"] == name).any()), "none")
    area = (tuned["metric"] == "ausuc") & (tuned["calibrator"] == "none")
    accuracy = tuned["metric"].isin(["acc_s_y", "acc_u_y"]) & (tuned["calibrator"] == gamma)
    tuned = tuned[area | accuracy].dropna(subset="value")
    sizes = tuned.groupby(list(SETTING_KEYS), sort=False)["n_fine_tuning"].transform("nunique")
    tuned = tuned[sizes > 1] if (sizes > 1).any() else tuned
    found = intervals(tuned, [*SETTING_KEYS, *what, "metric", "calibrator"], "value")
    scale = found["metric"].map({"ausuc": 1.0}).fillna(100.0)
    found = found.assign(**{name: found[name] * scale for name in ("mean", "low", "high")})
    return found.sort_values([*SETTING_KEYS, "split_kind", "metric", "n_fine_tuning"], kind="stable", ignore_index=True)


def _draw_panel(ax: Any, data: pd.DataFrame, kinds: list[str]) -> None:
    for (kind, metric), part in data.groupby(["split_kind", "metric"], sort=False):
        look, place = LOOKS[str(metric)], kinds.index(str(kind))
        x = part["n_fine_tuning"] + APART * (place - (len(kinds) - 1) / 2)
        ax.vlines(x, part["low"], part["high"], color=look.color, linewidth=1.1, alpha=0.7)
        ax.plot(x, part["mean"], look.marker, color=look.color, **_kind_style(place, look.color))


def _kind_style(place: int, color: str) -> dict[str, Any]:
    """Return line and filling of a kind of split; colour and marker belong to what is measured."""
    lines = ("-", (0, (3.5, 1.5)), (0, (1, 1)))
    return {"linestyle": lines[place % 3], "markerfacecolor": color if place == 0 else "white"}


def _gamma_title(data: pd.DataFrame) -> str:
    used = data.loc[data["metric"] != "ausuc", "calibrator"]
    name = str(used.iloc[0]) if len(used) else "none"
    return (
        display.method("fine_tuned", name).capitalize() if name == "none" else f"With γ of {display.calibrator(name)}"
    )


def _handles(ax: Any, data: pd.DataFrame, kinds: list[str]) -> list[Any]:
    groups = [ax.plot([], [], look.marker, color=look.color, label=look.label)[0] for look in (_style.S, _style.U)]
    lines = [
        ax.plot([], [], "o", color=_style.BLACK, label=f"{kind} S", **_kind_style(place, _style.BLACK))[0]
        for place, kind in enumerate(kinds)
    ]
    return [*groups, *lines, *_style.legend_remark(ax, f"{_style.runs_range(data['n_runs'])} each")]
