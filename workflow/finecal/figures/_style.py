"""The look of all figures: sizes for a paper, colours that differ for colour-blind people and on grey printers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from finecal import display
from finecal.figures._matplotlib import Figure, mpl, sns

SINGLE, DOUBLE = 3.4, 7.0  # inches: one column, the whole width

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/).
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY = "#767676"


@dataclass(frozen=True)
class Look:
    """Colour, line and marker of one thing, the same in every figure."""

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
    "pcv_combined": Look("PCV combined", SKY, "-", "v"),
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
    "text.parse_math": False,  # users' names may contain $
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """Set seaborn's "ticks" for paper with our sizes; settings outside the block stay as they were."""
    with mpl.rc_context({**mpl.rcParamsDefault, **sns.axes_style("ticks"), **sns.plotting_context("paper"), **_OURS}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure (inches) with a layout that keeps everything inside; no window, no global state."""
    return Figure(figsize=(width, height), layout="constrained")


def message_figure(words: str) -> Figure:
    """Return a figure that says why there is nothing to draw."""
    figure = new_figure(DOUBLE, 0.6)
    figure.text(0.5, 0.5, words, ha="center", va="center")
    return figure


def row_labels(settings: dict[tuple[str, ...], str], runs: Mapping[Any, int]) -> tuple[list[str], str]:
    """Return a label for each setting, and a remark for all of them: n, if it is the same everywhere."""
    n = [runs.get(key, 0) for key in settings]
    if len(set(n)) == 1:
        return list(settings.values()), f"{runs_words(n[0])} each" if len(n) > 1 else runs_words(n[0])
    return [f"{label}\n{runs_words(k)}" for label, k in zip(settings.values(), n, strict=True)], ""


def legend_remark(ax: Any, text: str) -> list[Any]:
    """Return words as a further entry of a legend, without a mark; no entry for an empty text."""
    return [ax.plot([], [], " ", label=text)[0]] if text else []


def runs_words(n: int) -> str:
    """Return the number of runs as it is written in figures."""
    return f"n = {display.count(n, 'run')}"


def runs_range(counts: Iterable[int]) -> str:
    """Return the smallest and the largest of several numbers of runs as they are written in figures.

    >>> runs_range([3, 3]), runs_range([3, 1])
    ('n = 3 runs', 'n = 1 to 3 runs')
    """
    found = set(counts)
    fewest, most = min(found), max(found)
    return runs_words(most) if fewest == most else f"n = {fewest} to {display.count(most, 'run')}"


def mark_rows(ax: Any, labels: list[str]) -> None:
    """Label one row per setting, the first on top, with faint lines between them."""
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    for between in range(1, len(labels)):
        ax.axhline(between - 0.5, color="0.88", linewidth=0.6, zorder=0)


def rows_height(labels: list[str], *, least: float) -> float:
    """Return the height in inches of a figure's rows, so that no label touches the next one."""
    return len(labels) * max(least, 0.14 * (max(label.count("\n") for label in labels) + 1) + 0.12)
