"""Seen–unseen curves: accuracy on absent against fine-tuning classes, both per test sample and not per class, while
γ, added to the absent logits, goes from −∞ to +∞. AUSUC is the area under such a curve. Thin lines are single runs,
bold lines their mean along rays from the origin; marks are mean accuracies over runs of every method that is one γ.
γ* is chosen on the test labels, an upper bound.

F2 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from finecal import display
from finecal.analysis.intervals import Interval
from finecal.analysis.statistics import intervals, of_setting
from finecal.figures import _labels, _style
from finecal.paths import CELL_KEYS, SETTING_KEYS

NEEDS = ("curve", "metrics", "calibration")
ABSENT = True

CURVES = {"pretrained": _style.PRETRAINED, "fine_tuned": _style.FINE_TUNED}
RAYS = np.linspace(0, np.pi / 2, 181)
STEEP = 0.85  # points left of this fraction of the largest acc_s_y would need long lines to their labels
LETTER = 0.058  # inches of a letter of a label beside the panel
FEW = 4  # marks of methods that have room for labels close to them
AXES = ["acc_s_y", "acc_u_y"]
# Colour of marks → darker colour for letters, which need more contrast with white.
LETTERS = {_style.ORANGE: "#8A5F00", _style.PURPLE: "#9C4A78", _style.GREEN: "#00704F", _style.SKY: "#1F6F9C"}


def draw(curve: pd.DataFrame, metrics: pd.DataFrame, calibration: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with its numbers.

    Numbers: element (run, mean: vertices of curves; point: a method), coordinates, classifier, calibrator, split,
    seed, acc_s_y and acc_u_y in %.
    """
    data = pd.concat([_curves(curve), _points(metrics, _single_gammas(calibration))], ignore_index=True)
    data["seed"] = data["seed"].astype("Int64")
    area = _areas(metrics)
    settings = display.settings(curve, "\n")
    lines = max(title.count("\n") for title in settings.values()) + 1
    labels = [_label(name) for name in data["calibrator"].dropna().unique() if name != "none"]
    right = max(0.78, 0.2 + LETTER * max(map(len, labels), default=0))
    figure, axes = _grid(len(settings), lines=lines, right=right)
    panels = []
    for ax, (key, title) in zip(axes, settings.items(), strict=True):
        panel = of_setting(data, key)
        _draw_panel(ax, panel, title, {name: area[*key, name] for name in CURVES if (*key, name) in area})
        panels.append((ax, _draw_points(ax, panel)))
    _labels.write_beside(figure, panels)
    return figure, data


def _grid(count: int, *, lines: int, right: float) -> tuple[Figure, list[Any]]:
    """Lay out square panels in inches: a legend of lines + 2 lines above, room of `right` for labels beside each."""
    columns = min(3, count)
    rows = math.ceil(count / columns)
    width = _style.SINGLE if columns == 1 else _style.DOUBLE
    left, bottom, top = 0.5, 0.42, 0.13 * (lines + 2) + 0.12
    side = (width - left) / columns - right
    below = 0.24 + top  # between two rows
    height = bottom + rows * side + (rows - 1) * below + top
    figure = Figure(figsize=(width, height))
    axes = []
    for number in range(count):
        row, column = divmod(number, columns)
        x = left + column * (side + right)
        y = height - top - side - row * (side + below)
        ax = figure.add_axes((x / width, y / height, side / width, side / height))
        ax.set(xlim=(0, 103), ylim=(0, 103), xticks=range(0, 101, 25), yticks=range(0, 101, 25))
        ax.tick_params(labelleft=column == 0)
        axes.append(ax)
    x, y = (left + (columns * side + (columns - 1) * right) / 2) / width, (height - top + bottom) / 2 / height
    words = {look: f"Accuracy on {look.label} (%)" for look in (_style.S, _style.U)}
    figure.text(x, 0.04 / height, words[_style.S], color=_style.S.color, ha="center", va="bottom")
    figure.text(0.04 / width, y, words[_style.U], color=_style.U.color, ha="left", va="center", rotation=90)
    return figure, axes


def mean_curve(curves: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return the mean of (k, 2) curves along rays from the origin; like them, it starts and ends on the axes.

    A mean over γ would mix unlike points, since each run has its own scale of logits.
    """
    radii = []
    for curve in curves:
        angle = np.arctan2(curve[:, 1], curve[:, 0])
        if not curve.any(axis=1).all():  # through the origin, which has no angle
            curve, angle = curve[curve.any(axis=1)], angle[curve.any(axis=1)]
        radii.append(np.array([_radius(curve, angle, ray) if len(curve) else 0.0 for ray in RAYS]))
    mean: npt.NDArray[np.float64] = np.mean(radii, axis=0)[:, None] * np.column_stack([np.cos(RAYS), np.sin(RAYS)])
    return mean


def _radius(curve: npt.NDArray[np.float64], angle: npt.NDArray[np.float64], ray: float) -> float:
    """Return the distance from the origin at which a ray meets a curve whose angle increases along it."""
    after = min(int(np.searchsorted(angle, ray)), len(curve) - 1)
    before = max(after - 1, 0)
    normal = np.array([-np.sin(ray), np.cos(ray)])
    a, b = curve[before] @ normal, curve[after] @ normal  # signed distances from the ray
    share = 0.0 if a == b else float(np.clip(a / (a - b), 0, 1))
    point = curve[before] + share * (curve[after] - curve[before])
    return float(point @ [np.cos(ray), np.sin(ray)])


def _curves(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of the runs and their means, accuracies in %."""
    frames = []
    for key, runs in curve.groupby([*SETTING_KEYS, "classifier"], sort=False):
        lines = []
        for _, one in runs.groupby(list(CELL_KEYS)):
            percent = one.sort_values("gamma", kind="stable").assign(element="run")
            percent[AXES] *= 100
            lines.append(percent[AXES].to_numpy())
            frames.append(percent)
        mean = mean_curve(lines)
        names = dict(zip([*SETTING_KEYS, "classifier"], key, strict=True))
        frames.append(pd.DataFrame({"element": "mean", **names, "acc_s_y": mean[:, 0], "acc_u_y": mean[:, 1]}))
    order = ["element", *SETTING_KEYS, "classifier", *CELL_KEYS, *AXES]
    return pd.concat(frames, ignore_index=True)[order]


def _areas(metrics: pd.DataFrame) -> dict[tuple[str, ...], Interval]:
    """Return (coordinates, classifier) → AUSUC in [0, 1]."""
    plain = metrics[(metrics["metric"] == "ausuc") & (metrics["calibrator"] == "none")]
    table = intervals(plain, [*SETTING_KEYS, "classifier"], "value")
    return {tuple(row[:5]): Interval(*row[5:]) for row in table.itertuples(index=False, name=None)}


def _single_gammas(calibration: pd.DataFrame) -> list[str]:
    """Return the calibrators that are a γ and nothing else."""
    parameters = calibration.groupby("calibrator", sort=False)["parameter"].unique()
    return [str(name) for name, found in parameters.items() if list(found) == ["gamma"]]


def _look(calibrator: str) -> _style.Look:
    """Return how a method is drawn: those that the paper names have looks of their own."""
    return _style.CALIBRATED.get(calibrator) or _style.Look("", _style.GREY, "-", "D")


def _label(calibrator: str) -> str:
    return display.marked(display.calibrator(calibrator), calibrator == "oracle")


def _points(metrics: pd.DataFrame, gammas: list[str]) -> pd.DataFrame:
    """Return the mean accuracies (%) of the marked methods over runs: the classifiers, and those that are one γ."""
    tuned = (metrics["classifier"] == "fine_tuned") & metrics["calibrator"].isin(gammas)
    plain = metrics["classifier"].isin(list(CURVES)) & (metrics["calibrator"] == "none")
    marked = metrics[(tuned | plain) & metrics["metric"].isin(AXES)]
    by = [*SETTING_KEYS, "classifier", "calibrator"]
    means = marked.pivot_table(index=by, columns="metric", values="value", aggfunc="mean", sort=False) * 100
    return means.reset_index().assign(element="point").rename_axis(columns=None)


def _draw_panel(ax: Any, data: pd.DataFrame, title: str, area: dict[str, Interval]) -> None:
    for classifier in area:
        look, part = CURVES[classifier], data[data["classifier"] == classifier]
        runs = part[part["element"] == "run"].groupby(list(CELL_KEYS))
        faint = max(0.12, min(0.4, 1.6 / len(runs)))
        for _, run in runs:
            ax.plot(run["acc_s_y"], run["acc_u_y"], color=look.color, linewidth=0.5, alpha=faint)
        mean, ausuc = part[part["element"] == "mean"], area[classifier]
        label = f"{look.label}, AUSUC {display.interval(ausuc.mean, ausuc.low, ausuc.high, 1, 2)}"
        ax.plot(mean["acc_s_y"], mean["acc_u_y"], color=look.color, linestyle=look.line, linewidth=1.4, label=label)
    runs_there = max(ausuc.n for ausuc in area.values())
    ax.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=0, alignment="left", fontsize=7, handlelength=1.8,
        title=f"{title} ({_style.runs_words(runs_there)})", labelspacing=0.3,
    )  # fmt: skip


def _draw_points(ax: Any, data: pd.DataFrame) -> list[_labels.Label]:
    """Draw the marks; return the labels for beside the panel: the fine-tuned model's on the steep side of the curve."""
    lines = [line[AXES].to_numpy() for _, line in data[data["element"] == "mean"].groupby("classifier")]
    points = data[data["element"] == "point"]
    avoided = np.concatenate([*lines, points[AXES].to_numpy()])
    beside: list[_labels.Label] = []
    near: list[_labels.Label] = []
    point: Any
    for point in points.itertuples():
        plain = point.calibrator == "none"
        look = CURVES[point.classifier] if plain else _look(point.calibrator)
        words = look.label if plain else _label(point.calibrator)
        label = _labels.Label(point.acc_s_y, point.acc_u_y, words, LETTERS.get(look.color, look.color))
        rim = {"markersize": 8 if look.marker == "*" else 4.8, "markeredgecolor": "white", "markeredgewidth": 0.6}
        ax.plot(label.x, label.y, look.marker, color=look.color, zorder=5, **rim)
        steep = point.classifier == "fine_tuned" and label.x > STEEP * points["acc_s_y"].max()
        many = point.classifier == "fine_tuned" and (points["calibrator"] != "none").sum() > FEW
        (beside if steep or many else near).append(label)
    beside.sort(key=lambda label: label.y)
    _labels.write_near(ax, near, avoided)
    return beside
