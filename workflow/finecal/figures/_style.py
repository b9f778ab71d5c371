"""How all figures look: sizes for a paper, colours that colour-blind people and grey printers keep apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

SINGLE, DOUBLE = 3.4, 7.0  # inches: one column, the whole width

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/).
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY = "#767676"


@dataclass(frozen=True)
class Look:
    """Colour, line and marker that belong to one thing in every figure."""

    label: str
    color: str
    line: Any
    marker: str


S = Look("fine-tuning classes S", BLUE, "-", "o")
U = Look("absent classes U", RED, (0, (3.5, 1.5)), "D")
GROUPS = {"fine_tuning": S, "absent": U}

PRETRAINED = Look("pretrained", GREY, (0, (3.5, 1.5)), "o")
FINE_TUNED = Look("fine-tuned", BLACK, "-", "o")
CALIBRATED = {
    "alg": Look("ALG", GREEN, "-", "s"),
    "pcv": Look("PCV", PURPLE, "-", "^"),
    "oracle": Look("γ*", ORANGE, "-", "*"),
}

_OURS = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same everywhere
    "font.size": 8, "axes.labelsize": 8, "axes.titlesize": 8, "legend.fontsize": 7.5, "legend.title_fontsize": 8,
    "xtick.labelsize": 7.5, "ytick.labelsize": 7.5,
    "axes.linewidth": 0.7, "xtick.major.width": 0.7, "ytick.major.width": 0.7,
    "xtick.major.size": 3, "ytick.major.size": 3,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left", "axes.unicode_minus": True,
    "lines.linewidth": 1.3, "lines.markersize": 4.5, "legend.frameon": False, "legend.handlelength": 2.2,
    "figure.dpi": 100, "svg.fonttype": "path", "svg.hashsalt": "finecal",
    "text.parse_math": False,  # names of people's own are no formulas
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """Seaborn's "ticks" for paper, with our sizes; the settings outside the block stay as they were."""
    with mpl.rc_context({**mpl.rcParamsDefault, **sns.axes_style("ticks"), **sns.plotting_context("paper"), **_OURS}):
        yield


def new(width: float, height: float) -> Figure:
    """An empty figure in inches with a layout that keeps everything inside; no window, no global state."""
    return Figure(figsize=(width, height), layout="constrained")


def nothing(words: str) -> Figure:
    """A figure that says why there is none."""
    figure = new(DOUBLE, 0.6)
    figure.text(0.5, 0.5, words, ha="center", va="center")
    return figure


def row_labels(settings: dict[tuple[str, ...], str], runs: Mapping[Any, int]) -> tuple[list[str], str]:
    """A label for every setting, and what holds for all of them: n where it is the same everywhere."""
    n = [runs.get(key, 0) for key in settings]
    if len(set(n)) == 1:
        return list(settings.values()), f"{runs_words(n[0])} each" if len(n) > 1 else runs_words(n[0])
    return [f"{label}\n{runs_words(k)}" for label, k in zip(settings.values(), n, strict=True)], ""


def remark(ax: Any, text: str) -> list[Any]:
    """Words as a further entry of a legend, without a mark."""
    return [ax.plot([], [], " ", label=text)[0]] if text else []


def runs_words(n: int) -> str:
    """n as it stands in figures."""
    return f"n = {n} run{'s' * (n != 1)}"


def mark_rows(ax: Any, labels: list[str]) -> None:
    """One row per setting, the first on top, with faint rules between them."""
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    for between in range(1, len(labels)):
        ax.axhline(between - 0.5, color="0.88", linewidth=0.6, zorder=0)


def rows_height(labels: list[str], *, least: float) -> float:
    """Inches for the rows of a figure, so that no label touches its neighbour."""
    return len(labels) * max(least, 0.14 * (max(label.count("\n") for label in labels) + 1) + 0.12)
