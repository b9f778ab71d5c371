"""One self-contained page: the answer in words, the figures, the tables, the configuration, the provenance."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from finecal import diagnosis, figures, tables, wording
from finecal.statistics import summarise
from finecal.tables._text import WORDS, grouped

TEMPLATE = Path(__file__).with_name("report.html.jinja")
ORDER = ("gain", "relations", "curve", "anatomy")  # the others follow by name
MARKS = {
    diagnosis.DAMAGED: ("damaged", "▼"),
    diagnosis.NOT_BY_SCALE: ("damaged", "▼"),
    diagnosis.UNCHANGED: ("unchanged", "="),
    diagnosis.IMPROVED: ("improved", "▲"),
}


def render(
    metrics: pd.DataFrame,
    calibration: pd.DataFrame,
    svgs: Mapping[str, str],
    *,
    studies: str,
    provenance: Mapping[str, Any],
) -> str:
    """The page as HTML. It loads nothing, runs no script, and the same input gives the same bytes.

    Parameters
    ----------
    metrics, calibration
        The aggregated tables.
    svgs
        Name of a figure → its SVG. They are embedded as images, so ids in them cannot clash.
    studies
        The resolved studies as YAML.
    provenance
        From `finecal.artifacts.provenance`.
    """
    answers = diagnosis.diagnose(summarise(metrics), calibration)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(TEMPLATE.read_text("utf-8"))
    return page.render(
        answers=answers,
        overall=diagnosis.overall(answers),
        mark=lambda verdict: MARKS.get(verdict, ("unknown", "·")),
        change=_change,
        things=diagnosis.TITLES,
        figures=[_figure(name, svgs[name]) for name in sorted(svgs, key=_position)],
        tables=[_table(name, metrics) for name in sorted(tables.names(), key=["main", "ausuc"].index)],
        studies=studies,
        provenance=provenance,
    )


def _change(finding: diagnosis.Finding) -> str:
    return wording.interval(finding.difference, finding.low, finding.high, sign=True)


def _position(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def _figure(name: str, svg: str) -> dict[str, str]:
    source = "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
    return {"name": name, "caption": figures.caption(name), "source": source}


def _table(name: str, metrics: pd.DataFrame) -> dict[str, Any]:
    module = tables.load(name)
    columns, groups, same = grouped(module.present(module.build(metrics)))
    caption = f"{tables.caption(name)} {same}".strip()
    return {"name": name, "caption": caption, "columns": columns, "groups": groups, "words": WORDS}
