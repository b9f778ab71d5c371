"""The page that compares two runs."""

from __future__ import annotations

import io
import json
import math
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from finecal import display
from finecal.analysis.comparison import METRICS, PLAIN, Comparison, Difference
from finecal.analysis.intervals import Interval
from finecal.figures import _labels
from finecal.figures._style import BLUE, RED, SINGLE, style
from finecal.report.render import render_template, screen_width, svg_source

LOOKS = ((BLUE, "-", "o"), (RED, (0, (4, 1.5)), "s"))  # of A and of B; they differ in dashes and marks too
MARKED = ("alg", "pcv", "pcv_combined", "oracle")  # methods with a mark on the curves
WIDTH, HEIGHT = 1.3 * SINGLE, 1.15 * SINGLE  # inches


def page(comparison: Comparison, *, place: Path, provenance: Mapping[str, Any]) -> str:
    """Return the page as HTML; it loads nothing.

    Parameters
    ----------
    comparison
        The two runs and their differences.
    place
        The file that the page is written to: its links to the runs' files are relative to it.
    provenance
        From `finecal.io.provenance.provenance`.
    """
    a, b = comparison.a, comparison.b
    return render_template(
        "compare.html.jinja",
        title="Two runs beside each other",
        sides=[
            {
                "name": name,
                "folder": str(side.run.folder),
                "link": Path(os.path.relpath(side.run.folder, place.parent)).as_posix(),
            }
            for name, side in (("A", a), ("B", b))
        ],
        target=lambda folder, file: shlex.join(["snakemake", f"{folder}/{file}"]),
        sentences=_sentences(comparison),
        figure=svg_source(_draw(comparison)),
        width=screen_width(WIDTH),
        heads=[display.METRICS[metric] for metric in METRICS],
        rows=_rows(comparison.differences),
        same_split=comparison.same_split,
        options=[(name, _text(one), _text(other)) for name, (one, other) in comparison.options.items()],
        classes=[_class(row) for row in comparison.classes.to_dict("records")],
        provenance=provenance,
    )


def _sentences(comparison: Comparison) -> list[str]:
    """Say how the fine-tuned models differ, and how they differ with the best method that can be ranked."""
    found = [_sentence("As fine-tuned", [d for d in comparison.differences if d.calibrator == PLAIN])]
    read = comparison.a.metrics.set_index("calibrator")["reads"].to_dict()
    usable = [
        d
        for d in comparison.differences
        if d.calibrator != PLAIN
        and d.metric == "acc_y_y"
        and not math.isnan(d.a + d.b)
        and display.ranked(str(read[d.calibrator]))
    ]
    if usable:
        best = max(usable, key=lambda d: max(d.a, d.b)).calibrator
        words = f"With {display.calibrator(best)}, the best method of both without test labels or numbers set by hand"
        found.append(_sentence(words, [d for d in comparison.differences if d.calibrator == best]))
    if not comparison.same_split:
        found.append("The classes in S differ, so accuracies on S and on U are of different samples.")
    return found


def _sentence(start: str, differences: list[Difference]) -> str:
    """Say the difference on all classes; where U has no test samples, on S alone."""
    known = [d for d in differences if not (math.isnan(d.a) or math.isnan(d.b))]
    if not known:
        return f"{start}: nothing was measured in both."
    main = min(known, key=lambda d: METRICS.index(d.metric))
    of = display.METRICS[main.metric]
    mean, low, high, n = main.difference
    if low > 0 or high < 0:
        what = f"B is {'better' if mean > 0 else 'worse'} than A on {of} by"
        size = display.points(abs(mean), *sorted((abs(low), abs(high)))).removeprefix("+")
    elif not math.isnan(low):
        what = f"no difference between A and B on {of} can be told from chance:"
        size = display.points(mean, low, high)
    else:
        what, size = f"B minus A on {of} is", display.points(mean, low, high)
    parts = [
        f"{display.METRICS[d.metric]} {display.number(d.a)} → {display.number(d.b)} %"
        for d in known
        if d.metric != "acc_y_y"
    ]
    return f"{start}: {what} {size} (n = {display.count(n, 'test sample')}; {', '.join(parts)})."


def _rows(differences: tuple[Difference, ...]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for d in differences:
        row = rows.setdefault(d.calibrator, {"method": display.method("fine_tuned", d.calibrator), "cells": []})
        row["cells"] += [display.number(d.a), display.number(d.b), _signed(d.difference)]
    return list(rows.values())


def _signed(difference: Interval) -> str:
    return display.interval(difference.mean, difference.low, difference.high, sign=True)


def _class(row: Mapping[Any, Any]) -> list[str]:
    numbers = [display.number(row[name]) for name in ("a", "b")]
    group = row["group_a"] if row["group_a"] == row["group_b"] else f"{row['group_a']} → {row['group_b']}"
    return [row["name"], group, f"{row['n']:,}", *numbers, display.number(row["change"], sign=True)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _draw(comparison: Comparison) -> bytes:
    """Draw the seen–unseen curves of both fine-tuned models, with the marked methods, as SVG."""
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        ax = figure.add_axes((0.11, 0.12, 0.87, 0.86))
        ax.set(xlim=(0, 103), ylim=(0, 103), xlabel="Accuracy on fine-tuning classes S (%)")
        ax.set_ylabel("Accuracy on absent classes U (%)")
        labels, lines = [], []
        for name, side, (color, line, marker) in zip("AB", (comparison.a, comparison.b), LOOKS, strict=True):
            curve = side.curve[side.curve["classifier"] == "fine_tuned"].sort_values("gamma", kind="stable")
            points = curve[["acc_s_y", "acc_u_y"]].to_numpy() * 100
            lines.append(points)
            ax.plot(points[:, 0], points[:, 1], color=color, linestyle=line, label=name)
            for method in (PLAIN, *MARKED):
                x, y = (side.value(method, metric) * 100 for metric in ("acc_s_y", "acc_u_y"))
                if not math.isnan(x + y):  # the run has this method
                    ax.plot(x, y, marker, color=color, markersize=4.5, markeredgecolor="white", markeredgewidth=0.6)
                    words = "fine-tuned" if method == PLAIN else display.calibrator(method)
                    labels.append(_labels.Label(x, y, f"{words} {name}", color))
        ax.legend(loc="lower left")
        _labels.write_near(ax, labels, np.concatenate([*lines, [label[:2] for label in labels]]))
        with io.BytesIO() as file:
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
            return file.getvalue()
