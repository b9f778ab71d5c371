"""The part of a page where one moves γ: runs, classes and pictures as one JSON value, within a budget of bytes.

A study may have thousands of runs. The first run of every setting comes first, then the others as far as there is
room. The more runs, the fewer stops each curve has; marked points stay (`finecal.report.slider_stops`). What single
samples do (the classes, the confusion matrix) is embedded for as many runs as fit, pictures too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from finecal.report import charts
from finecal.report.run_view import RunView, cells, payload
from finecal.report.thumbnails import Album

RUNS = 300  # in one page
STOPS = 45_000  # of all runs together, but for the marked ones
MOST_STOPS = 300  # of one run: more than a hand can tell apart
ROWS = 40_000  # rows of all tables of classes together
PICTURES = 600_000  # bytes of all pictures together

Thumbnails = Callable[[RunView], tuple[tuple[str, ...], Mapping[int, str]]]


def room_for_stops(runs: int) -> int:
    """How many stops a run may have besides the marked ones.

    >>> room_for_stops(4), room_for_stops(1000)
    (300, 150)
    """
    return min(MOST_STOPS, STOPS // max(1, min(runs, RUNS)))


def explorer(
    views: Sequence[RunView],
    thumbnails: Thumbnails | None = None,
    start: Mapping[tuple[str, ...], str] | None = None,
) -> Any:
    """Everything the script needs, as plain JSON values.

    Parameters
    ----------
    views
        The runs; those to be shown in full first.
    thumbnails
        Gives what tells two sources apart, and pictures of a run: sample number → data URI.
    start
        Where the slider is first: dataset, task, backbone, recipe → name of a mark.
    """
    album, room = Album(PICTURES), ROWS
    names: list[list[str]] = []  # of a data set's classes, which many splits share
    classes: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    for view in views:
        one = payload(view)
        own = {"names": _place(_distinct(view.names), names), "s": np.flatnonzero(view.samples.fine_tuning).tolist()}
        one["classes"] = _place(own, classes)
        one["start"] = (start or {}).get(view.where[:4], "")
        found = cells(view)
        if len(found["n"]) <= room:
            room -= len(found["n"])
            one["cells"] = found
            if thumbnails is not None:
                one["examples"] = album.add(view, *thumbnails(view))
        runs.append(one)
    embedded = {"runs": runs, "classes": classes, "names": names, "pictures": album.pictures}
    return {**embedded, "charts": charts.specifications()}


def as_json(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _place(one: Any, found: list[Any]) -> int:
    """The place of something in a list, to which it is added if it is new."""
    if one not in found:
        found.append(one)
    return found.index(one)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, those that are there twice with their number: a chart would take them for one."""
    twice = {name for name in names if list(names).count(name) > 1} if len(set(names)) < len(names) else set()
    return [f"{name} ({number})" if name in twice else name for number, name in enumerate(names)]
