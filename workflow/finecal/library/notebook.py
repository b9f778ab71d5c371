"""A diagnosis as a notebook shows it: the verdict, what to do, a small table and the curve."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import escape

from finecal import display
from finecal.analysis.telling import Told

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = {"acc_y_y": "all classes", "acc_s_y": "fine-tuning classes", "acc_u_y": "absent classes"}


def html(
    told: Told, calibrator: str, metrics: pd.DataFrame, notes: Sequence[str], figure: Callable[[], Figure] | None
) -> str:
    """Return HTML that loads nothing; without `figure` it has no curve. `calibrator` is the advised one."""
    methods = [("pretrained", "none"), ("fine_tuned", "none"), ("fine_tuned", calibrator)]
    table = metrics.set_index(["classifier", "calibrator", "metric"])["value"].to_dict()
    rows = []
    for method in dict.fromkeys(methods):
        values = [table.get((*method, metric), float("nan")) for metric in SHOWN]
        if (*method, "acc_y_y") in table:
            cells = "".join(f"<td>{display.number(value)} %</td>" for value in values)
            rows.append(f"<tr><th>{escape(display.method(*method))}</th>{cells}</tr>")
    head = "".join(f"<th>{words}</th>" for words in SHOWN.values())
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    found = "".join(f"<li>{escape(line.text)}</li>" for line in told.lines)
    behind = "".join(
        f"<p>{escape(words)}</p>" for words in (*(line.words for line in told.lines), " ".join(told.behind))
    )
    code = f'<pre style="overflow-x: auto">{escape(told.code)}</pre>' if told.code else ""
    return (
        f"<div><p><b>{escape(told.verdict)}</b></p><p>{escape(told.do)}</p>{code}"
        f'<ul style="list-style: none; padding-left: 0">{found}</ul>'
        f"<details><summary>The sentences behind it</summary>{behind}</details>"
        f"<table><thead><tr><th>accuracy on</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"{_image(figure()) if figure else ''}"
        f"<details><summary>What was assumed and left out</summary><ul>{items}</ul></details></div>"
    )


def _image(figure: Figure) -> str:
    from finecal.figures._style import style

    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    source = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="Seen–unseen curve" src="data:image/svg+xml;base64,{source}">'
