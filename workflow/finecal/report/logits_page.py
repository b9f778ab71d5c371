"""The page for people who only brought logits: the answer and the γ to move, from one model's test samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from finecal.analysis import diagnosis
from finecal.analysis.sample_intervals import Right, with_intervals
from finecal.analysis.statistics import summarise
from finecal.report.explorer import MOST_STOPS, as_json, explorer
from finecal.report.render import html
from finecal.report.run_view import run_view
from finecal.report.slider_stops import as_samples
from finecal.report.study_page import answered


def page(
    frames: Mapping[str, pd.DataFrame],
    samples: pa.Table,
    fine_tuning: npt.NDArray[np.bool_],
    where: Mapping[str, str | int],
    *,
    right: Mapping[tuple[str, str], Right],
    provenance: Mapping[str, Any],
) -> str:
    """The page as HTML; it loads nothing, its links are to the files beside it.

    Parameters
    ----------
    frames
        metrics and calibration, with the coordinates `where` as columns.
    samples
        What any γ makes of each test sample, as in samples.parquet.
    fine_tuning
        (C,) bool: the classes of S. Logits do not tell names, so classes are called by their numbers.
    right
        (classifier, calibrator) → which test samples are right: there is one model, so the intervals are over them.
    """
    metrics, calibration = frames["metrics"], frames["calibration"]
    answers = diagnosis.diagnose(with_intervals(summarise(metrics), right), calibration)
    names = [str(number) for number in range(len(fine_tuning))]
    view = run_view(where, ".", names, as_samples(samples, fine_tuning), metrics, calibration, room=MOST_STOPS)
    start: dict[tuple[str, ...], str] = {answer.setting: answer.advice.calibrator for answer in answers}
    return html(
        **answered(answers, metrics),
        answered_from=([f"{name}.parquet" for name in ("metrics", "calibration", "curve", "samples")], ""),
        explorer=as_json(explorer([view], None, start)),
        explored=(1, 1),
        one_training=True,
        provenance=provenance,
    )
