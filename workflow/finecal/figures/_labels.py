"""Write labels of points without overlap: beside the panel with a line to the point, or close to the point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

GAP = 1.3  # distance of two labels, in lines of text
INSIDE = 2  # pixels between words and the frame of their panel
AWAY = 9  # points between the panel and the words
FONT_SIZE = 7.5
SIDES = ((-1, -1), (1, 1), (-1, 1), (1, -1), (0, -1), (0, 1), (-1, 0), (1, 0))


class Label(NamedTuple):
    """Words for the point (x, y) in data coordinates."""

    x: float
    y: float
    text: str
    color: str


def write_beside(figure: Figure, panels: Iterable[tuple[Any, Sequence[Label]]]) -> None:
    """Write the labels of each axes at its right side, as high as their points where there is room.

    Labels are in the order of their points from top to bottom, so that no lines cross. This lays the figure out and
    fixes its layout.
    """
    placed = [(ax, [_write(ax, label) for label in labels], labels) for ax, labels in panels]
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax, written, labels in placed:
        if not labels:  # all labels are elsewhere; matplotlib cannot transform an empty list
            continue
        height = ax.get_window_extent().height / figure.dpi * 72  # points
        to_axes = ax.transLimits.transform([(label.x, label.y) for label in labels]).reshape(-1, 2)[:, 1]
        line = GAP * FONT_SIZE / height
        sizes = np.array([label.text.count("\n") + 1 for label in labels], float) * line
        for text, y in zip(written, spread_out(to_axes, sizes), strict=True):
            text.xyann = (1, y)


def write_near(ax: Any, labels: Sequence[Label], others: npt.NDArray[np.float64]) -> None:
    """Write labels close to their points, where they cover the fewest of `others`, (n, 2) data coordinates.

    The axes must have its final position and limits.
    """
    scale = 72 / ax.figure.dpi  # pixels to points
    low, high = np.array(ax.bbox.extents).reshape(2, 2) * scale
    avoided = ax.transData.transform(others) * scale
    taken: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = []  # centres and half sizes
    for label in labels:
        text = ax.annotate(
            label.text, (label.x, label.y), xytext=(0, 0), textcoords="offset points", ha="center", va="center",
            fontsize=FONT_SIZE, color=label.color, path_effects=[withStroke(linewidth=2, foreground="white")], zorder=6,
        )  # fmt: skip
        half = np.array(text.get_window_extent().size) * scale / 2
        mark = ax.transData.transform([label.x, label.y]) * scale
        places = []
        for side, distance in product(SIDES, (4, 9, 15)):
            centre = mark + np.array(side) * (half + distance)
            covered = (np.abs(avoided - centre) < half + 1.5).all(axis=1).sum()
            covered += 50 * sum((np.abs(other - centre) < half + size).all() for other, size in taken)
            outside = np.maximum(low - centre + half, 0).sum() + np.maximum(centre + half - high, 0).sum()
            places.append((covered * 10 + outside * 10 + distance, tuple(centre)))
        centre = np.array(min(places)[1])
        text.xyann = tuple(centre - mark)
        taken.append((centre, half))


def keep_inside(figure: Figure) -> None:
    """Move words so far inside their panels that none crosses the frame. This fixes the figure's layout."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax in figure.axes:
        low, high = np.array(ax.bbox.extents).reshape(2, 2)
        for text in ax.texts:
            box = np.array(text.get_window_extent().extents).reshape(2, 2)
            shift = np.maximum(low + INSIDE - box[0], 0) + np.minimum(high - INSIDE - box[1], 0)
            if shift.any():
                place = ax.transData.transform(text.get_position()) + shift
                x, y = ax.transData.inverted().transform(place)
                text.set_position((float(x), float(y)))


def spread_out(
    positions: npt.ArrayLike, sizes: npt.ArrayLike, low: float = 0, high: float = 1
) -> npt.NDArray[np.float64]:
    """Return the centres nearest to `positions` (least squares) of intervals of these sizes that do not overlap.

    They stay in [low, high] if there is room for all. By isotonic regression with pooling of adjacent violators.

    >>> spread_out([0.5, 0.5, 0.9], [0.2, 0.2, 0.1]).round(3)
    array([0.4, 0.6, 0.9])
    """
    wanted, size = np.asarray(positions, np.float64), np.asarray(sizes, np.float64)
    order = np.argsort(wanted, kind="stable")
    size = size[order]
    stacked = np.cumsum(size) - size / 2  # centres if they stood close together from 0 on
    pools: list[list[float]] = []
    for value in wanted[order] - stacked:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    shift = np.concatenate([np.full(len(pool), np.mean(pool)) for pool in pools]) if pools else np.empty(0)
    result = np.empty(len(wanted))
    result[order] = np.clip(shift, low, max(low, high - size.sum())) + stacked
    return result


def _write(ax: Any, label: Label) -> Any:
    arrow = {
        "arrowstyle": "-", "color": label.color, "linewidth": 0.6, "alpha": 0.7, "relpos": (0, 0.5),
        "shrinkA": 1, "shrinkB": 3,
    }  # fmt: skip
    away = ScaledTranslation(AWAY / 72, 0, ax.figure.dpi_scale_trans)
    return ax.annotate(
        label.text, (label.x, label.y), xytext=(1, 0.5), textcoords=ax.transAxes + away, ha="left", va="center",
        fontsize=FONT_SIZE, color=label.color, arrowprops=arrow, linespacing=1.05, annotation_clip=False,
    )  # fmt: skip
