"""The page for a user's own logits: the answer and the slider, from the test samples of one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from finecal.analysis import diagnosis
from finecal.report.explorer import MOST_STOPS, Explored, as_json, explorer
from finecal.report.render import report_html
from finecal.report.run_view import run_view
from finecal.report.slider_stops import as_samples
from finecal.report.study_page import answer_parts


def page(
    frames: Mapping[str, pd.DataFrame],
    samples: pa.Table,
    fine_tuning: npt.NDArray[np.bool_],
    where: Mapping[str, str | int],
    *,
    names: Sequence[str],
    answer: tuple[diagnosis.Answer, Sequence[str]],
    provenance: Mapping[str, Any],
) -> str:
    """Return the page as HTML; it loads nothing, and its links are to the files beside it.

    Parameters
    ----------
    frames
        metrics and calibration, with the coordinates `where` as columns.
    samples
        The columns of a samples.parquet: which class each test sample is predicted as, for any γ.
    fine_tuning
        (C,) bool: the classes of S.
    where
        Coordinates of the run by name.
    names
        Of the classes.
    answer
        What is said, and what was recognised and assumed before.
    provenance
        From `finecal.io.provenance.provenance`.
    """
    metrics, calibration = frames["metrics"], frames["calibration"]
    answers = [answer[0]]
    view = run_view(where, ".", names, as_samples(samples, fine_tuning), metrics, calibration, room=MOST_STOPS)
    start: dict[tuple[str, ...], str] = {answer.setting: answer.advice.calibrator for answer in answers}
    return report_html(
        **{**answer_parts(answers, metrics), "exports": {a.setting: _export_command(a, provenance) for a in answers}},
        answered_from=([f"{name}.parquet" for name in ("metrics", "calibration", "curve", "samples")], ""),
        explorer=as_json(explorer(Explored([view]), start)),
        explored=(1, 1),
        one_training=True,
        notes=list(answer[1]),
        provenance=provenance,
    )


def _export_command(answer: diagnosis.Answer, provenance: Mapping[str, Any]) -> str:
    """Return what exports a model with the advised calibration: the command that made the page, or a call."""
    if answer.advice.calibrator == "none":
        return ""
    command = str(provenance.get("command", ""))
    if not command.startswith("finecal diagnose "):
        return 'r.export(model, "folder")'
    return command if " --model" in command else f"{command} --model MODEL"
