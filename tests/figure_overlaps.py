"""What lies on an axis in a figure: words on its line, or on its numbers."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

SLACK = 1.0  # pixels: letters do not fill their boxes


def overlaps(figure: Figure) -> list[str]:
    """Describe all words inside the panels that lie on the line of an axis, or on the numbers along one."""
    figure.draw_without_rendering()
    taken = [one for ax in figure.axes if ax.get_visible() and ax.axison for one in (*_lines(ax), *_numbers(ax))]
    words = [text for ax in figure.axes for text in ax.texts if text.get_visible() and text.get_text().strip()]
    return [f"{text.get_text()!r} on {name}" for text in words for name, box in taken if _meet(_box(text), box)]


def _lines(ax: Any) -> list[tuple[str, Bbox]]:
    return [(f"the {side} axis", spine.get_window_extent()) for side, spine in ax.spines.items() if spine.get_visible()]


def _numbers(ax: Any) -> list[tuple[str, Bbox]]:
    found = []
    for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
        for tick in axis.get_major_ticks():
            if low <= tick.get_loc() <= high and tick.label1.get_visible() and tick.label1.get_text():
                found.append((f"the number {tick.label1.get_text()}", _box(tick.label1)))
    return found


def _box(text: Text) -> Bbox:
    box = Text.get_window_extent(text)  # of an annotation the words alone, without its line
    return Bbox.from_extents(box.x0 + SLACK, box.y0 + SLACK, box.x1 - SLACK, box.y1 - SLACK)


def _meet(one: Bbox, other: Bbox) -> bool:
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1
