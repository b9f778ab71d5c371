"""From checked predictions to tables: every calibrator that the data allows, its parameters, and all metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from finecal import registry, schemas
from finecal.calibration.contract import Fitted, Labelled, Unlabelled
from finecal.calibration.inputs import Predictions, Seen
from finecal.calibration.parameters import read_states, refusals
from finecal.io.declared import from_rows
from finecal.metrics.classifiers import FINE_TUNED, PRETRAINED
from finecal.stages.calibrate import fit_all
from finecal.stages.evaluate import sample_table, score_calibrated, score_classifiers

# What is not here, in words, and how to give it where that is possible.
MISSING = {
    "train_fine_tuning": "rows with the subset 'train' of fine-tuning classes",
    "target_unlabelled": "rows with the subset 'train'",
    "validation": "rows with the subset 'validation', absent classes among them",
    "test": "rows with the subset 'test' of absent classes",
    "features": "the column features",
    "pretrained": "--pretrained",
    "weights": "the model's weights, which only a study has",
    "pseudo_splits": "further trainings, which only a study has",
    "interpolated": "the model's weights, which only a study has",
}


# Numbers that calibrators are fitted to: they make several float64 copies of them.
FITTED = 1 << 26
DRAWN = {"target_unlabelled": "training rows", "validation": "validation rows"}


@dataclass(frozen=True, eq=False)
class Measured:
    """Tables by name (metrics, curve, calibration, samples), fitted parameters, what was refused and left out."""

    tables: dict[str, pa.Table]
    states: dict[str, Fitted]
    uses: dict[str, Any]
    notes: list[str]
    left_out: list[str]

    def frame(self, name: str) -> pd.DataFrame:
        found: pd.DataFrame = self.tables[name].to_pandas()
        return found


def measure(
    tuned: Predictions, before: Predictions | None, mask: npt.NDArray[np.bool_], *, strangers: bool = False
) -> Measured:
    """Fit and score whatever the predictions allow, as a study's stages `calibrate` and `evaluate` do.

    Parameters
    ----------
    strangers
        Whether the rows of the two models seem to be other samples: then no method reads both.
    """
    seen = Seen(tuned, before)
    most = max(FITTED // len(mask), 2)
    data = seen.available(mask, None, most)
    notes = [note for note in (_of_draw(name, data[name], tuned, most) for name in DRAWN if name in data) if note]
    uses, left_out = _usable(data, mask, strangers=strangers)
    rows = fit_all(uses, data, mask)
    fitted = from_rows(rows, schemas.own_columns(schemas.CALIBRATION))
    states = read_states(fitted)
    classifiers = {FINE_TUNED: tuned} if before is None else {PRETRAINED: before, FINE_TUNED: tuned}
    found, curves = score_classifiers(classifiers, mask)
    found += score_calibrated(uses, states, data["test"], mask, FITTED)
    metrics = from_rows(found, schemas.own_columns(schemas.METRICS))
    tables = {"metrics": metrics, "curve": curves, "calibration": fitted, "samples": sample_table(tuned, before, mask)}
    return Measured(tables, states, uses, [*notes, *refusals(rows)], left_out)


def _of_draw(name: str, taken: Unlabelled, tuned: Predictions, most: int) -> str:
    """Say that calibrators are fitted to a part of the rows, where they are."""
    rows = int((tuned.train if name == "target_unlabelled" else tuned.validation).sum())
    if len(taken) == rows:
        return ""
    return (
        f"Calibrators are fitted to at most {most:,} of the {rows:,} {DRAWN[name]}, evenly spread, so that memory "
        "suffices; all rows are in the accuracies."
    )


def _usable(data: Mapping[str, Any], mask: np.ndarray, *, strangers: bool) -> tuple[dict[str, Any], list[str]]:
    """The calibrators whose data is there, as the plan gives them; and a sentence on those that miss the same."""
    test: Labelled = data["test"]
    there = {*data, *test.more}
    # These say how good a γ is only if absent classes are among their rows.
    for subset in ("validation", "test"):
        if subset in there and mask[data[subset].labels].all():
            there.discard(subset)
    missing = MISSING | ({"pretrained": "pretrained logits of the same samples"} if strangers else {})
    there -= {"pretrained"} if strangers else set()
    uses: dict[str, Any] = {}
    left_out: dict[str, list[str]] = {}
    for name in registry.built_in_names("calibrator"):
        calibrator = registry.calibrator_record(name)
        wanted = calibrator.reads | calibrator.takes
        lacking = list(dict.fromkeys(missing[part] for part in missing if part in wanted - there))
        if lacking:
            left_out.setdefault(" and ".join(lacking), []).append(name)
        else:
            uses[name] = {"calibrator": name, "options": calibrator.options().model_dump()}
    return uses, [f"Left out for want of {what}: {', '.join(names)}." for what, names in left_out.items()]
