"""Leaderboard: accuracy on all classes of fine-tuning recipes × calibrators, means over runs with 95 %
intervals, the best on top. Hollow marks in the lower part are upper bounds, which read test labels or train on all
classes; the dashed line is the pretrained model.

Numbers and ranks are those of the table `leaderboard`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from finecal import display
from finecal.figures import _style
from finecal.tables import _leaderboard as table

NEEDS = ("metrics",)
ABSENT = True

MOST_BOARDS = 3  # of more, only the one of all settings together is drawn
MOST_MARKS = 6  # different marks that a reader can still tell apart
LOOKS = (
    (_style.BLACK, "o"), (_style.ORANGE, "D"), (_style.SKY, "v"), (_style.GREY, "X"), (_style.GREEN, "s"),
    (_style.PURPLE, "^"),
)  # fmt: skip
ROW, DODGE = 0.17, 0.06  # inches: a row with one mark, and what each further mark adds


def draw(metrics: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with the table's rows of acc_y_y in % and the columns `row` and `mark`, its labels."""
    tidy = table.build(metrics)
    data = tidy[tidy["metric"] == table.RANKED_BY].copy()
    data[["mean", "low", "high"]] *= 100
    together = data["dataset"] == table.ALL
    alone = data[~together]
    many = alone[table.BOARD_KEYS].drop_duplicates().shape[0] > MOST_BOARDS
    data = with_marks(data[together] if many and together.any() else alone)
    settings = list(data[table.BOARD_KEYS].drop_duplicates().itertuples(index=False, name=None))
    marks = list(dict.fromkeys(data.loc[~data["upper_bound"] & (data["classifier"] == "fine_tuned"), "mark"]))
    groups = [_groups(part) for _, part in data.groupby(table.BOARD_KEYS, sort=False)]
    heights = [_height(part) for both in groups for part in both]
    figure = _style.new_figure(
        _style.SINGLE, sum(heights) + 0.75 + 0.2 * len(settings) + 0.16 * ((len(marks) + 2) // 2)
    )
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for number, (key, both) in enumerate(zip(settings, groups, strict=True)):
        before = data[(data["classifier"] == "pretrained") & (data[table.BOARD_KEYS] == list(key)).all(axis=1)]["mean"]
        for ax, part, hollow in zip(axes[2 * number :], both, (False, True), strict=False):
            _draw_rows(ax, part, marks, hollow=hollow)
            for value in before:
                ax.axvline(
                    value, color=_style.PRETRAINED.color, linestyle=_style.PRETRAINED.line, linewidth=0.9, zorder=1
                )
        axes[2 * number].set_title(_title(key, both[0], several=len(settings) > 1), pad=4)
        axes[2 * number].tick_params(axis="x", length=0)
    axes[-1].set_xlabel("Accuracy on all classes (%)")
    axes[-1].margins(x=0.05)
    _legend(figure, axes[0], marks, pretrained="pretrained" in set(data["classifier"]))
    return figure, data.reset_index(drop=True)


def with_marks(data: pd.DataFrame) -> pd.DataFrame:
    """Add the columns `row` and `mark`: of recipes and calibrators, the more numerous are rows, the others marks.

    More than `MOST_MARKS` marks would look alike: then each method has its own row.
    """
    ranked = data[~data["upper_bound"] & (data["classifier"] == "fine_tuned")]
    recipes, calibrators = ranked["recipe"].nunique(), ranked["calibrator"].nunique()
    several = data.loc[data["recipe"] != "", "recipe"].nunique() > 1
    rows, marks = [], []
    one: Any
    for one in data.itertuples():
        words = table.method(one.recipe, one.classifier, one.calibrator, with_recipe=False).replace("fine-tuned + ", "")
        if one.classifier == "fine_tuned" and one.calibrator == "none":
            words = "no calibrator" if several else words
        if one.classifier == "pretrained":
            row, mark = "", ""
        elif one.upper_bound or recipes == 1:
            row, mark = words, one.recipe if several else ""
        elif min(recipes, calibrators) > MOST_MARKS:
            row, mark = table.method(one.recipe, one.classifier, one.calibrator, with_recipe=True), ""
        else:
            row, mark = (one.recipe, words) if recipes >= calibrators else (words, one.recipe)
        rows.append(row)
        marks.append(mark)
    return data.assign(row=rows, mark=marks)


def _groups(part: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divide the rows into ranked methods and upper bounds."""
    return part[~part["upper_bound"] & (part["classifier"] == "fine_tuned")], part[part["upper_bound"]]


def _height(part: pd.DataFrame) -> float:
    """Return the height in inches of a part's rows; upper bounds have all marks of a row on one line."""
    most = 1 if part["upper_bound"].all() else part.groupby("row").size().max()
    return max(ROW, part["row"].nunique() * (ROW + DODGE * (most - 1))) if len(part) else 0.02


def _draw_rows(ax: Any, part: pd.DataFrame, marks: list[str], *, hollow: bool) -> None:
    rows = list(dict.fromkeys(part["row"]))  # the best first, as the table is sorted
    used = [mark for mark in marks if mark in set(part["mark"])]
    one: Any
    for one in part.itertuples():
        y = float(rows.index(one.row))
        shift = 0.0 if hollow or len(used) < 2 else (used.index(one.mark) - (len(used) - 1) / 2) * 0.76 / len(used)
        color, marker = ("0.35", "o") if hollow else _look(one.mark, marks)
        wide = 1.0 if hollow else 1.3
        ax.plot([one.low, one.high], [y + shift] * 2, color=color, linewidth=wide, solid_capstyle="butt", zorder=3)
        face = "white" if hollow else color
        ax.plot(one.mean, y + shift, marker, color=color, markerfacecolor=face, markersize=4, zorder=4)
    if rows:
        _style.mark_rows(ax, rows)
    else:
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_color("0.6" if not hollow else "black")
    ax.tick_params(axis="x", length=3 if hollow else 0, labelbottom=hollow)


def _look(mark: str, marks: list[str]) -> tuple[str, str]:
    """Return colour and marker: those of ALG and PCV are the same in every figure, the others take what is left."""
    own = {look.label: (look.color, look.marker) for look in _style.CALIBRATED.values() if look.label in marks}
    left = [look for look in LOOKS if look not in own.values()]
    others = [name for name in marks if name not in own]
    return own[mark] if mark in own else left[others.index(mark) if len(marks) <= MOST_MARKS else 0]


def _title(key: tuple[str, ...], part: pd.DataFrame, *, several: bool) -> str:
    counts = part["n_runs"]
    runs = _style.runs_words(int(counts.max())) if len(part) else ""
    dataset, task, _ = key
    place = dataset if dataset == table.ALL else f"{dataset}, {display.task(task)}"
    return f"{place} ({runs})" if several or dataset == table.ALL else f"{display.task(task)} ({runs})"


def _legend(figure: Figure, ax: Any, marks: list[str], *, pretrained: bool) -> None:
    handles = []
    if 1 < len(marks) <= MOST_MARKS:
        for mark in marks:
            color, marker = _look(mark, marks)
            handles.append(ax.plot([], [], marker, color=color, markersize=4, label=mark)[0])
    if pretrained:
        look = _style.PRETRAINED
        handles.append(ax.plot([], [], color=look.color, linestyle=look.line, linewidth=0.9, label=look.label)[0])
    handles.append(ax.plot([], [], "o", color="0.35", markerfacecolor="white", markersize=4, label="upper bound")[0])
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
