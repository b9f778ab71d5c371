"""The report: the answer, the slider, the leaderboard, figures, tables, configuration, provenance on one page."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from finecal import display, figures, paths, registry, tables
from finecal.analysis import diagnosis, findings
from finecal.analysis.statistics import of_setting
from finecal.analysis.telling import sign_of, tell
from finecal.report import thumbnails
from finecal.report.explorer import Explored, as_json, explorer
from finecal.report.render import report_html, screen_width, svg_source
from finecal.tables._text import WORDS, group_by_setting

ORDER = ("gain", "relations", "curve", "anatomy", "update_similarity", "feature_map")  # then the others by name
FIGURES = 1_200_000  # bytes of all figures together; those that do not fit are links
ROWS = 300  # of a table; its files have the others


def render(
    aggregated: Mapping[str, pd.DataFrame],
    svgs: Mapping[str, str],
    *,
    made: Sequence[str],
    studies: str,
    provenance: Mapping[str, Any],
    explored: Explored | None = None,
    shown: Mapping[str, str] | None = None,
) -> str:
    """Return the page as HTML. It loads nothing, and the same input gives the same bytes.

    Parameters
    ----------
    aggregated
        The aggregated tables by name: metrics, calibration, and those that the tables of the page need.
    svgs
        Name of a figure → its SVG. Figures are embedded as images, so that their ids cannot clash.
    made
        Names of the tables of the page.
    studies
        The resolved studies as YAML.
    provenance
        From `finecal.io.provenance.provenance`.
    explored
        The runs whose γ can be moved; the page has no slider if there are none.
    shown
        Backbone → what it is shown of an image, in words.
    """
    explored = explored or Explored()
    metrics = aggregated["metrics"]
    answers = [_with_code(one, explored) for one in diagnosis.diagnose(metrics, aggregated["calibration"])]
    start: dict[tuple[str, ...], str] = {answer.setting: answer.advice.calibrator for answer in answers}
    boards = {name: _table_parts(name, aggregated) for name in sorted(made, key=lambda name: (name != "main", name))}
    return report_html(
        **{**answer_parts(answers, metrics), "exports": {a.setting: _export_command(metrics, a) for a in answers}},
        explorer=as_json(explorer(explored, start)) if explored.views else "",
        explored=(len(explored.views), explored.total),
        leaderboard=boards.pop("leaderboard", None),
        figures=_figure_parts(svgs),
        tables=list(boards.values()),
        studies=studies,
        provenance=provenance,
        shown=shown or {},
        cost=_cost(aggregated["cost"]) if "cost" in aggregated else "",
        more_inputs=len(explored.views),
        pictured=explored.thumbnails is not None,
    )


def _with_code(answer: diagnosis.Answer, explored: Explored) -> diagnosis.Answer:
    """Return the answer with lines that apply its method in the first run, where it is more than one γ."""
    advice = answer.advice
    if advice.code or advice.calibrator == "none" or explored.lines is None:
        return answer
    return replace(answer, advice=replace(advice, code=explored.lines(answer.setting, advice.calibrator)))


def answer_parts(answers: list[diagnosis.Answer], metrics: pd.DataFrame) -> dict[str, Any]:
    """Return the answers as parts of a page, with the functions that its template calls."""
    return {
        "answers": answers,
        "overall": diagnosis.overall(answers),
        "exports": {answer.setting: "" for answer in answers},
        "sign": sign_of,
        "tell": tell,
        "count": display.count,
        "change": _change,
        "lines": _break_before_interval,
        "method": lambda calibrator: display.NOTHING if calibrator == "none" else display.calibrator(calibrator),
        "labels": display.settings(metrics),
        "things": findings.TITLES,
        "per_class": thumbnails.PER_CLASS,
        "most_classes": thumbnails.CLASSES,
    }


def _export_command(metrics: pd.DataFrame, answer: diagnosis.Answer) -> str:
    """Return the command that exports the setting's first run; empty where no calibrator helps."""
    if answer.advice.calibrator == "none":
        return ""
    row = of_setting(metrics, answer.setting).iloc[0]
    run = paths.RunKey(**{name: row[name] for name in paths.RUN_KEYS})
    return shlex.join(["finecal", "export", str(run.folder), "--calibrator", answer.advice.calibrator])


def _change(finding: findings.Finding) -> str:
    return display.interval(finding.difference, finding.low, finding.high, sign=True)


def _break_before_interval(cell: str) -> Markup:
    """Return a cell with its interval, if it has one, on a second line."""
    mean, bracket, rest = cell.partition(" [")
    if bracket:
        return Markup("{}<span class=interval>[{}</span>").format(mean, rest)
    return escape(cell.replace(" †", "\u00a0†").replace(" ‡", "\u00a0‡"))  # a mark stays at its word


def _cost(cost: pd.DataFrame) -> str:
    """Say how many jobs were measured, their wall time in all, and their devices.

    >>> _cost(pd.DataFrame({"wall_seconds": [3000.0, 4200.0, float("nan")], "device": ["cpu", "cpu", "GPU 1"]}))
    '3 jobs measured, 2.0 h of wall time in all; devices: GPU 1, cpu'
    """
    time = display.duration(float(cost["wall_seconds"].sum()))
    devices = ", ".join(sorted(cost["device"].dropna().astype(str).unique()))
    return f"{display.count(len(cost), 'job')} measured, {time} of wall time in all; devices: {devices}"


def _figure_parts(svgs: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the figures in their order; the largest become links once the page is full."""
    room, made = FIGURES, {name: _figure_part(name, svg) for name, svg in svgs.items()}
    for name in sorted(made, key=lambda name: len(made[name]["source"])):
        size = len(made[name]["source"])
        if size > room:
            made[name]["source"] = ""
        room -= size
    return [made[name] for name in sorted(made, key=_position)]


def _position(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def _figure_part(name: str, svg: str) -> dict[str, Any]:
    points = re.search(r'<svg[^>]*?\swidth="([\d.]+)pt"', svg)
    width = screen_width(float(points[1]) / 72) if points else 800
    file = paths.FIGURE.format(figure=name)
    files = [f"{file.removeprefix(f'{paths.RESULTS}/')}.{suffix}" for suffix in ("parquet", "svg", "png")]
    return {
        "name": name, "caption": figures.caption(name), "source": svg_source(svg.encode()), "width": width,
        "files": files, "target": f"{file}.svg",
    }  # fmt: skip


def _table_parts(name: str, aggregated: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    columns, groups, same = group_by_setting(registry.load("table", name).present(tables.build(name, aggregated)))
    shown: dict[str, list[dict[str, Any]]] = {}
    room, left_out, filters = ROWS, 0, []
    for heading, rows in groups.items():
        kept, room = rows[: max(room, 0)], room - len(rows)
        left_out += len(rows) - len(kept)
        if kept:
            shown[heading] = [{"cells": cells, "reads": None} for cells in kept]
    if name == "leaderboard" and "reads" in columns:
        place, found = columns.index("reads"), set()
        for row in (row for rows in shown.values() for row in rows):
            reads = [read for read in row["cells"][place].split(", ") if read != display.NOTHING]
            row["reads"] = json.dumps(reads)
            found.update(reads)
        known = [short for short, _ in display.READS.values()]
        filters = sorted(found, key=lambda read: (known.index(read) if read in known else len(known), read))
    file = paths.TABLE.format(table=name)
    return {
        "name": name, "caption": f"{tables.caption(name)} {same}".strip(), "columns": columns, "groups": shown,
        "words": WORDS, "filters": filters, "left_out": left_out, "target": f"{file}.csv",
        "files": [f"{file.removeprefix(f'{paths.RESULTS}/')}.{suffix}" for suffix in ("parquet", "csv", "md", "tex")],
    }  # fmt: skip
