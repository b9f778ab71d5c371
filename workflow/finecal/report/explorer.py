"""The data of the slider: runs, classes and pictures as one JSON value, within a budget of bytes.

A study may have thousands of runs. The more runs, the fewer stops each curve has besides its marked points
(`finecal.report.slider_stops`). The counts by class and the pictures are embedded for as many runs as fit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finecal.report.run_view import RunView, payload, sample_counts
from finecal.report.thumbnails import Album
from finecal.report.vega import specifications

RUNS = 300  # in one page
STOPS = 30_000  # of all runs together, without the marked ones
MOST_STOPS = 300  # of one run: a hand cannot move a slider more finely
ROWS = 40_000  # of `sample_counts`, of all runs together
PICTURES = 600_000  # bytes of all pictures together

Thumbnails = Callable[[RunView], tuple[tuple[str, ...], Mapping[int, str]]]


@dataclass(frozen=True, eq=False)
class Explored:
    """The runs whose γ can be moved.

    Attributes
    ----------
    views
        The runs in the page; those that get counts by class and pictures first come first.
    total
        How many runs there are, in the page or not.
    thumbnails
        Run → what tells its source of samples from others, and data URIs of pictures by sample number.
    lines
        Setting and calibrator → lines of Python that apply the calibrator of the setting's first run; empty where it
        is not there.
    """

    views: Sequence[RunView] = ()
    total: int = 0
    thumbnails: Thumbnails | None = None
    lines: Callable[[tuple[str, ...], str], str] | None = None


def room_for_stops(runs: int) -> int:
    """Return how many stops a run may have besides the marked ones.

    >>> room_for_stops(4), room_for_stops(1000)
    (300, 100)
    """
    return min(MOST_STOPS, STOPS // max(1, min(runs, RUNS)))


def explorer(explored: Explored, start: Mapping[tuple[str, ...], str] | None = None) -> Any:
    """Return everything that the page's script needs, as plain JSON values.

    Parameters
    ----------
    explored
        The runs; `total` is not used.
    start
        Where the slider starts: dataset, task, backbone, recipe → name of a mark.
    """
    album, room = Album(PICTURES), ROWS
    names: list[list[str]] = []  # the class names of a data set stand once, however many splits it has
    classes: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for view in explored.views:
        one = payload(view)
        own = {
            "names": _index(_number_equal(view.names), names),
            "s": np.flatnonzero(view.samples.fine_tuning).tolist(),
        }
        one["classes"] = _index(own, classes)
        one["start"] = (start or {}).get(view.where[:4], "")
        counts = sample_counts(view)
        if len(counts["n"]) <= room:
            room -= len(counts["n"])
            one["cells"] = counts
            if explored.thumbnails is not None:
                one["examples"] = album.add(view, *explored.thumbnails(view))
        runs.append(one)
    embedded = {"runs": runs, "classes": classes, "names": names, "pictures": album.pictures}
    return {**embedded, "charts": specifications()}


def as_json(value: Any) -> str:
    """Return a value as JSON that cannot end the script element it is written into."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _index(one: Any, found: list[Any]) -> int:
    """Return the index of an item in a list; add the item if the list does not have it."""
    if one not in found:
        found.append(one)
    return found.index(one)


def _number_equal(names: Sequence[str]) -> list[str]:
    """Add its number to each class name that occurs twice: a chart would draw the two classes as one."""
    twice = {name for name in names if list(names).count(name) > 1} if len(set(names)) < len(names) else set()
    return [f"{name} ({number})" if name in twice else name for number, name in enumerate(names)]
