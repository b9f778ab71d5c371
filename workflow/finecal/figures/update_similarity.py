"""Class-update similarity: cosine between the rows of ΔW = W − W⁰ of the head, fine-tuning classes S first, then
absent classes U, for one run of each setting (its first split and seed). Grey rows did not move. Above each panel the
mean cosine over pairs of different classes, with 95 % intervals over all runs.

F6 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from finecal import display
from finecal.analysis.statistics import intervals, of_setting
from finecal.figures import _style
from finecal.paths import RUN_KEYS, SETTING_KEYS

NEEDS = ("update_similarity", "update_similarity_means")

NAMED = 30  # the names of more classes would overlap
LONGEST = 12  # letters of a name
PAIRS = {"fine_tuning": "within S", "absent": "within U", "between": "S with U"}
COLORS = "PuOr_r"  # not red and blue, which are U and S


def draw(similarity: pd.DataFrame, means: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with its `numbers`."""
    data = numbers(similarity, means)
    settings = display.settings(similarity, "\n")
    longest = max(len(_short(name)) for name in similarity["name"])
    lines = max(title.count("\n") for title in settings.values()) + 1
    figure, axes = _grid(len(settings), lines=lines, names=0.3 + 0.07 * longest)
    for ax, (key, title) in zip(axes, settings.items(), strict=True):
        _draw_panel(ax, of_setting(data, key), title)
    drawn = axes[0].images[0]
    width, height = figure.get_size_inches()
    bar = figure.add_axes((1 - 0.5 / width, 0.5 / height, 0.1 / width, min(1.6, height - 1.2) / height))
    figure.colorbar(drawn, cax=bar, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.set_title("Cosine", loc="left", pad=5)
    bar.set_yticklabels(["−1", "−0.5", "0", "0.5", "1"])
    bar.tick_params(length=2, pad=2)
    return figure, data


def numbers(similarity: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn.

    element is class or mean. class: coordinates, split, seed, class, name, group, and cosine, a list with an entry for
    each class of the setting in the order of the rows. mean: coordinates, pairs, mean, low, high, n_runs.
    """
    classes = pd.concat([_sort_classes(part) for _, part in similarity.groupby(list(SETTING_KEYS), sort=False)])
    over_runs = intervals(means, [*SETTING_KEYS, "pairs"], "cosine")
    data = pd.concat([classes.assign(element="class"), over_runs.assign(element="mean")], ignore_index=True)
    data[["seed", "class", "n_runs"]] = data[["seed", "class", "n_runs"]].astype("Int64")
    order = [
        "element",
        *RUN_KEYS,
        "class",
        "name",
        "group",
        "cosine",
        "pairs",
        "mean",
        "low",
        "high",
        "n_runs",
    ]
    return data[order]


def _sort_classes(part: pd.DataFrame) -> pd.DataFrame:
    """Sort the classes of one run, S first, and their lists of cosines in the same order."""
    by_number = part.sort_values("class")
    order = np.argsort((by_number["group"] != "fine_tuning").to_numpy(), kind="stable")
    ordered = by_number.iloc[order]
    return ordered.assign(cosine=ordered["cosine"].map(lambda row: np.asarray(row)[order]))


def _grid(count: int, *, lines: int, names: float) -> tuple[Figure, list[Any]]:
    """Lay out square panels in inches, each with `lines` + 3 lines of text above and `names` inches beside it."""
    columns = min(2, count)
    rows = math.ceil(count / columns)
    width = _style.SINGLE if columns == 1 else _style.DOUBLE
    right, top = 0.62, 0.135 * (lines + 3) + 0.27
    side = (width - right - columns * names) / columns
    height = rows * (side + names + top)
    figure = Figure(figsize=(width, height))
    axes = []
    for number in range(count):
        row, column = divmod(number, columns)
        x, y = names + column * (side + names), height - top - side - row * (side + names + top)
        axes.append(figure.add_axes((x / width, y / height, side / width, side / height)))
    return figure, axes


def _draw_panel(ax: Any, data: pd.DataFrame, title: str) -> None:
    classes = data[data["element"] == "class"]
    colors = colormaps[COLORS].with_extremes(bad="0.6")
    ax.imshow(np.stack(classes["cosine"].to_list()), cmap=colors, vmin=-1, vmax=1, interpolation="nearest")
    ax.spines[:].set_visible(False)
    total, of_s = len(classes), int((classes["group"] == "fine_tuning").sum())
    for line in (ax.axhline, ax.axvline):
        line(of_s - 0.5, color="black", linewidth=1)
    if total <= NAMED:
        names = [_short(name) for name in classes["name"]]
        upright = max(map(len, names)) <= 2
        ax.set_xticks(range(total), names, rotation=0 if upright else 90)
        ax.set_yticks(range(total), names)
        ax.tick_params(length=0, pad=8)
    else:
        ax.set_xticks([])
        ax.set_yticks([])
    for look, letter, low, high in ((_style.S, "S", 0, of_s), (_style.U, "U", of_s, total)):
        _mark_group(
            ax,
            look,
            letter if total <= NAMED else f"{letter}\n({display.count(high - low, 'class')})",
            low - 0.5,
            high - 0.5,
        )
    over_runs = data[data["element"] == "mean"]
    words = [
        f"{PAIRS[pairs]} {display.interval(mean, low, high, 1, 2)}"
        for pairs, mean, low, high in zip(*(over_runs[name] for name in ("pairs", "mean", "low", "high")), strict=True)
    ]
    first = classes.iloc[0]
    run = f"{first['split']}, seed {first['seed']}; means over {_style.runs_words(int(over_runs['n_runs'].max()))}:"
    ax.set_title("\n".join([title, run, " · ".join(words[:2]), *words[2:]]), pad=19, fontsize=7, x=-0.05)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _mark_group(ax: Any, look: _style.Look, words: str, low: float, high: float) -> None:
    """Draw a bar along the top and the left edge in the group's colour, with its letter above."""
    on_top, on_left = ax.get_xaxis_transform(), ax.get_yaxis_transform()
    style: Any = {"color": look.color, "linewidth": 2.2, "solid_capstyle": "butt", "clip_on": False}
    ax.plot([low, high], [1.025, 1.025], transform=on_top, **style)
    ax.plot([-0.025, -0.025], [low, high], transform=on_left, **style)
    ax.text((low + high) / 2, 1.035, words, transform=on_top, color=look.color, ha="center", va="bottom", fontsize=7.5)
