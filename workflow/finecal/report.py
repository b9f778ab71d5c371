"""One self-contained page: the answer in words, the figures, the tables, the configuration, the provenance."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from finecal import diagnosis, figures, plugins, tables, wording
from finecal.statistics import summarise
from finecal.tables._text import WORDS, grouped

TEMPLATE = Path(__file__).with_name("report.html.jinja")
ORDER = ("gain", "relations", "curve", "anatomy", "update_similarity", "feature_map")  # the others follow by name
ENLARGED = 1.25  # a screen is read from further away than paper
MARKS = {
    diagnosis.DAMAGED: ("damaged", "▼"),
    diagnosis.NOT_BY_SCALE: ("damaged", "▼"),
    diagnosis.UNCHANGED: ("unchanged", "="),
    diagnosis.IMPROVED: ("improved", "▲"),
}


def render(
    aggregated: Mapping[str, pd.DataFrame],
    svgs: Mapping[str, str],
    *,
    made: Sequence[str],
    studies: str,
    provenance: Mapping[str, Any],
) -> str:
    """The page as HTML. It loads nothing, runs no script, and the same input gives the same bytes.

    Parameters
    ----------
    aggregated
        metrics, calibration, and what the tables of the page need.
    svgs
        Name of a figure → its SVG. They are embedded as images, so ids in them cannot clash.
    made
        The tables of the page.
    studies
        The resolved studies as YAML.
    provenance
        From `finecal.artifacts.provenance`.
    """
    metrics = aggregated["metrics"]
    answers = diagnosis.diagnose(summarise(metrics), aggregated["calibration"])
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["unbroken"] = lambda words: words.replace(" %", "\u00a0%").replace("γ = ", "γ\u00a0=\u00a0")
    page = environment.from_string(TEMPLATE.read_text("utf-8"))
    return page.render(
        answers=answers,
        overall=diagnosis.overall(answers),
        mark=lambda verdict: MARKS.get(verdict, ("unknown", "·")),
        change=_change,
        lines=_lines,
        method=lambda calibrator: wording.NOTHING if calibrator == "none" else wording.calibrator(calibrator),
        labels=wording.settings(metrics),
        things=diagnosis.TITLES,
        figures=[_figure(name, svgs[name]) for name in sorted(svgs, key=_position)],
        tables=[_table(name, aggregated) for name in sorted(made, key=lambda name: (name != "main", name))],
        studies=studies,
        provenance=provenance,
    )


def _change(finding: diagnosis.Finding) -> str:
    return wording.interval(finding.difference, finding.low, finding.high, sign=True)


def _lines(cell: str) -> Markup:
    """A mean with its interval below it."""
    mean, bracket, rest = cell.partition(" [")
    return Markup("{}<span class=interval>[{}</span>").format(mean, rest) if bracket else escape(cell)


def _position(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def _figure(name: str, svg: str) -> dict[str, str | int]:
    points = re.search(r'<svg[^>]*?\swidth="([\d.]+)pt"', svg)
    width = round(float(points[1]) / 72 * 96 * ENLARGED) if points else 800
    source = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
    return {"name": name, "caption": figures.caption(name), "source": source, "width": width}


def _table(name: str, aggregated: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    columns, groups, same = grouped(plugins.load("table", name).present(tables.build(name, aggregated)))
    caption = f"{tables.caption(name)} {same}".strip()
    return {"name": name, "caption": caption, "columns": columns, "groups": groups, "words": WORDS}
