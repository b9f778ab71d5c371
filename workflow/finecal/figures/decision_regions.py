"""Decision regions in the plane: what the pretrained and the fine-tuned model predict, the latter also with γ of ALG
and with γ*, which is chosen on the test labels. Circles are test points of fine-tuning classes S, diamonds of absent
classes U; bold letters name the points, plain ones the class predicted in a region; the thick line parts S from U. Each
row is one run (its first split and seed); percentages are accuracies over all classes.

A5 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from finecal import display
from finecal.analysis.statistics import of_setting
from finecal.figures import _labels, _style
from finecal.paths import RUN_KEYS

NEEDS = ("decision_regions", "metrics")
AXIS = "toy"

COLUMNS = {
    ("pretrained", "none"): "Pretrained",
    ("fine_tuned", "none"): "Fine-tuned",
    ("fine_tuned", "alg"): "Fine-tuned + ALG",
    ("fine_tuned", "oracle"): "Fine-tuned + γ*",
}
ACCURACIES = ("acc_s_y", "acc_u_y")
METHOD = ["classifier", "calibrator"]
TINTS = {"fine_tuning": ("#DCEAF5", "#B9D5EA"), "absent": ("#F9E0D2", "#F0BFA0")}
OUTLINE = [withStroke(linewidth=2, foreground="white")]


def draw(decision_regions: pd.DataFrame, metrics: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with its `numbers`."""
    data = numbers(decision_regions, metrics)
    settings = display.settings(data)
    columns = [column for column in COLUMNS if (data[METHOD] == list(column)).all(axis=1).any()]
    figure = _style.new_figure(_style.DOUBLE, 0.35 + 2.2 * len(settings))
    axes = figure.subplots(len(settings), len(columns), squeeze=False, sharex=True, sharey=True)
    for row, (key, title) in zip(axes, settings.items(), strict=True):
        of_run = of_setting(data, key)
        samples = of_run[of_run["element"] == "sample"]
        first = samples.iloc[0]
        for ax, column in zip(row, columns, strict=True):
            method = of_run[(of_run[METHOD] == list(column)).all(axis=1)]
            _draw_regions(ax, method[method["element"] == "region"], samples)
            _draw_samples(ax, samples)
            accuracy = method[method["element"] == "accuracy"].set_index("metric")["value"]
            in_s, in_u = (display.number(accuracy.get(name, np.nan), 1, 0) for name in ACCURACIES)
            ax.set_title(f"\n{COLUMNS[column]}\nS {in_s} % · U {in_u} %", pad=3)
        run = f"{title}, {first['split']}, seed {first['seed']} ({display.count(len(samples), 'test sample')})"
        row[0].set_title(run + row[0].get_title("left"), pad=3)
    handles = [axes[0, 0].scatter([], [], **_mark(look, 12), label=look.label) for look in _style.GROUPS.values()]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    _labels.keep_inside(figure)
    return figure, data


def numbers(decision_regions: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn: coordinates, split, seed, element, classifier, calibrator, and columns of single elements.

    region: x, y, and the class predicted there with its name and group. sample: the same of a test point and its
    true class. accuracy: metric, value in %.
    """
    of_run = list(RUN_KEYS)
    methods = pd.DataFrame(list(COLUMNS), columns=METHOD)
    samples = decision_regions[decision_regions["element"] == "sample"]
    grid = decision_regions[decision_regions["element"] == "region"].merge(methods, on=METHOD)
    scores = metrics[metrics["metric"].isin(ACCURACIES)].merge(samples[of_run].drop_duplicates(), on=of_run)
    scores = scores.merge(grid[METHOD].drop_duplicates(), on=METHOD).assign(element="accuracy")
    scores["value"] *= 100
    data = pd.concat([samples, grid, scores], ignore_index=True)
    data["class"] = data["class"].astype("Int64")
    return data[[*of_run, "element", *METHOD, "x", "y", "class", "name", "group", "metric", "value"]]


def _draw_regions(ax: Any, grid: pd.DataFrame, samples: pd.DataFrame) -> None:
    ordered = grid.sort_values(["y", "x"])
    x, y = np.unique(ordered["x"]), np.unique(ordered["y"])
    predicted = ordered["class"].to_numpy(np.int64).reshape(len(y), len(x))
    groups = samples.drop_duplicates("class").set_index("class").sort_index()["group"]
    seen = dict.fromkeys(TINTS, 0)
    tints = []
    for group in groups:
        tints.append(TINTS[group][seen[group] % 2])
        seen[group] += 1
    half = (x[1] - x[0]) / 2
    extent = (x[0] - half, x[-1] + half, y[0] - half, y[-1] + half)
    ax.imshow(predicted, origin="lower", extent=extent, cmap=ListedColormap(tints), vmin=-0.5, vmax=len(tints) - 0.5)
    in_s = (groups == "fine_tuning").to_numpy()[predicted]
    if in_s.any() and not in_s.all():
        ax.contour(x, y, in_s.astype(float), levels=[0.5], colors="black", linewidths=1.2)
    names = samples.drop_duplicates("class").set_index("class")["name"]
    points = np.zeros(predicted.shape, dtype=bool)
    points[
        np.searchsorted(y, samples["y"]).clip(max=len(y) - 1), np.searchsorted(x, samples["x"]).clip(max=len(x) - 1)
    ] = True
    for number in np.unique(predicted):
        row, column, room = find_widest_place((predicted == number) & ~points)
        if room * 2 * half > 0.1:  # otherwise a letter does not fit
            ax.text(x[column], y[row], names[number], color="0.3", ha="center", va="center", fontsize=7.5, zorder=2)
    ax.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    ax.tick_params(length=2, pad=2)


def find_widest_place(mask: npt.NDArray[np.bool_]) -> tuple[int, int, float]:
    """Return row and column of the place in a mask that is furthest from its border, and the distance in cells."""
    from scipy.ndimage import distance_transform_edt

    distance = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(distance.argmax(), mask.shape)
    return int(row), int(column), float(distance[row, column])


def _mark(look: _style.Look, size: float) -> dict[str, Any]:
    """Return the look of a mark: S hollow circles, U filled diamonds, to be told apart without colours too."""
    hollow = look is _style.S
    return {
        "s": size, "marker": look.marker, "facecolors": "none" if hollow else look.color,
        "edgecolors": look.color if hollow else "white", "linewidths": 0.5 if hollow else 0.2,
    }  # fmt: skip


def _draw_samples(ax: Any, samples: pd.DataFrame) -> None:
    for group, look in _style.GROUPS.items():
        part = samples[samples["group"] == group]
        ax.scatter(part["x"], part["y"], **_mark(look, 6), zorder=3)
        for name, of_class in part.groupby("name"):
            ax.text(
                of_class["x"].median(), of_class["y"].median(), name, color=look.color, weight="bold", fontsize=9,
                ha="center", va="center", zorder=4, path_effects=OUTLINE,
            )  # fmt: skip
