"""Write the page with the answer, and the studies with every option resolved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from finecal import paths, schemas
from finecal.calibration.inputs import read_head, read_split
from finecal.calibration.parameters import calibrator, read_states
from finecal.calibration.python_lines import loading_lines, python_lines
from finecal.io.atomic import write_text
from finecal.io.parquet import read_table
from finecal.io.provenance import provenance
from finecal.models.header import describe_input, read_header
from finecal.paths import RunKey
from finecal.plan import axes
from finecal.plan.identities import Identities
from finecal.plan.jobs import files_of_page
from finecal.plan.plan import Plan
from finecal.report.explorer import RUNS, Explored, Thumbnails, room_for_stops
from finecal.report.run_view import RunView, run_view
from finecal.report.slider_stops import TestSamples, as_samples
from finecal.report.study_page import render
from finecal.report.thumbnails import read_thumbnails, sample_numbers
from finecal.stages.tables_and_figures import read_aggregated, table_path

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PICTURED = 12  # runs that may have pictures: there is no room for more


def report(plan: Plan) -> None:
    """Write results/report.html, and results/studies.yaml with every option resolved."""
    figures, tables = plan.applicable("figure"), plan.applicable("table")
    svgs = {name: Path(f"{paths.FIGURE.format(figure=name)}.svg") for name in figures}
    read = axes.read_by_report(plan.axes())
    resolved = {name: study.model_dump(mode="json") for name, study in plan.studies.items()}
    studies = yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True)
    read_tables = map(table_path, dict.fromkeys([*read, *tables]))
    inputs: list[str | Path] = [*read_tables, *svgs.values(), *files_of_page(plan)]
    frames = {name: read_aggregated(name) for name in read}
    runs = shown_runs(plan)
    views = _views(runs, frames["metrics"], frames["calibration"], room_for_stops(len(plan.runs)))
    page = render(
        frames,
        {name: file.read_text("utf-8") for name, file in svgs.items()},
        made=tables,
        studies=studies,
        provenance=provenance(Identities(plan).of("report", {}).record(), inputs=inputs),
        explored=Explored(
            views,
            len(plan.runs),
            _thumbnails(plan, runs[:PICTURED], views[:PICTURED]),
            lambda setting, calibrator: _lines(plan, setting, calibrator),
        ),
        shown=_shown(plan),
    )
    write_text(paths.RESOLVED, studies)
    write_text(paths.REPORT, page)


def _lines(plan: Plan, setting: tuple[str, ...], name: str) -> str:
    """Lines of Python that apply a calibrator of a setting's first run; empty where it is not there."""
    run = next(run for run in plan.runs if tuple(run.columns().values())[: len(setting)] == setting)
    file = run.folder / paths.CALIBRATION
    if not file.exists():
        return ""
    states = read_states(read_table(file, schemas.own_columns(schemas.CALIBRATION)))
    method, _, takes = calibrator(plan.calibrators(run)[name])
    fine_tuning, weights = read_split(run.path(paths.SPLIT))[0], run.folder / paths.HEAD
    head = read_head(weights, len(fine_tuning)) if "weights" in takes and weights.exists() else None
    lines = python_lines(method, takes, states.get(name, {}), fine_tuning, head)
    return lines or loading_lines(run.folder.as_posix(), name, takes)


def _shown(plan: Plan) -> dict[str, str]:
    """Backbone → what it is shown of images, in words; none where results are without their models."""
    found: dict[str, str] = {}
    for run in plan.first_runs:
        file = run.pretrained_folder / paths.MODEL
        if run.backbone not in found and file.exists():
            found[run.backbone] = describe_input(read_header(file)["architecture"])
    return found


def shown_runs(plan: Plan) -> list[RunKey]:
    """The runs in the page: the first of every setting, then the others as far as there is room."""
    return list(dict.fromkeys([*plan.first_runs, *plan.runs]))[:RUNS]


def read_samples(path: str | Path, fine_tuning: np.ndarray) -> TestSamples:
    """What any γ makes of the test samples of a run, from a samples.parquet."""
    return as_samples(read_table(path, schemas.own_columns(schemas.SAMPLES)), fine_tuning)


def _views(runs: list[RunKey], metrics: pd.DataFrame, calibration: pd.DataFrame, room: int) -> list[RunView]:
    """The runs as the page shows them."""
    coordinates = list(paths.RUN_KEYS)
    of_metrics = dict(list(metrics.groupby(coordinates, sort=False)))
    of_calibration = dict(list(calibration.groupby(coordinates, sort=False)))
    views = []
    for run in runs:
        where = run.columns()
        key = tuple(where.values())
        fine_tuning, names = read_split(run.path(paths.SPLIT))
        samples = read_samples(run.folder / paths.SAMPLES, fine_tuning)
        fitted = of_calibration.get(key, calibration.iloc[:0])
        folder = run.folder.relative_to(paths.RESULTS).as_posix()
        views.append(run_view(where, folder, names, samples, of_metrics[key], fitted, room=room))
    return views


def _thumbnails(plan: Plan, runs: list[RunKey], views: list[RunView]) -> Thumbnails:
    """Small pictures of some runs, each file of images read once; none where results are without their images."""
    of_source: dict[tuple[str, ...], list[RunView]] = {}
    files: dict[tuple[str, ...], Path] = {}
    for run, view in zip(runs, views, strict=True):
        of_source.setdefault((run.dataset, run.target), []).append(view)
        stored = run.path(paths.IMAGES)
        files.setdefault((run.dataset, run.target), stored if stored.exists() else plan.images_of_run(run))
    read = {
        source: read_thumbnails(file, sample_numbers(of_source[source]))
        for source, file in files.items()
        if file.exists()
    }
    sources = {view.where: source for source, members in of_source.items() for view in members}

    def of(view: RunView) -> tuple[tuple[str, ...], dict[int, str]]:
        source = sources.get(view.where, ())
        return source, read.get(source, {})

    return of
