"""The page with the answer, and the studies with every option resolved."""

from __future__ import annotations

from pathlib import Path

import yaml

from finecal import axes, paths
from finecal.artifacts import provenance, write_text
from finecal.plan import Plan
from finecal.report import render
from finecal.stages.present import aggregated, table_path


def report(plan: Plan) -> None:
    """Write results/report.html, and results/studies.yaml with every option resolved."""
    figures, tables = (axes.applicable(kind, plan.axes()) for kind in ("figure", "table"))
    svgs = {name: Path(f"{paths.FIGURE.format(figure=name)}.svg") for name in figures}
    read = axes.read_by_report(plan.axes())
    resolved = {name: study.model_dump(mode="json") for name, study in plan.studies.items()}
    studies = yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True)
    inputs: list[str | Path] = [*map(table_path, read), *svgs.values()]
    page = render(
        {name: aggregated(name) for name in read},
        {name: file.read_text("utf-8") for name, file in svgs.items()},
        made=tables,
        studies=studies,
        provenance=provenance(options={"studies": list(plan.names)}, inputs=inputs),
    )
    write_text(paths.RESOLVED, studies)
    write_text(paths.REPORT, page)
