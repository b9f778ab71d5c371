"""The names of the methods on the curve that follows the slider."""

from __future__ import annotations

from typing import Any

MIDDLE, LOW = 60, 6  # % of S beyond which a name stands left of its mark; % of U below which it stands above


def layers(marks: Any, x: Any, y: Any, color: Any) -> list[Any]:
    """Return layers of text, each of the names on one side of their marks.

    They stand on the side where there is room, and above the lower axis, so that no word lies on an axis, on a phone
    neither.
    """
    return [
        marks.transform_filter(f"datum.named && datum.s {side} {MIDDLE} && datum.u {height} {LOW}")
        .mark_text(align=align, dx=dx, dy=dy, limit=limit)
        .encode(x, y, text="label:N", color=color)
        for side, align, dx, limit in ((">", "right", -9, 150), ("<=", "left", 9, 110))
        for height, dy in ((">", 5), ("<=", -9))
    ]
