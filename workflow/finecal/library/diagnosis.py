"""`finecal.diagnose`: logits in, the answer out. The command line and the page are made from the same result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finecal.analysis.diagnosis import diagnose as answers_of
from finecal.analysis.diagnosis import withheld
from finecal.calibration.inputs import Predictions
from finecal.errors import UserError
from finecal.io.parquet import with_columns
from finecal.io.provenance import provenance
from finecal.library.applying import call, paths_of, with_code
from finecal.library.classes import ARGUMENT, mask_of, names_of
from finecal.library.given import bring, check_index, files_of
from finecal.library.measuring import measure
from finecal.library.result import SETTING, Diagnosis
from finecal.logits.alignment import STRANGERS
from finecal.logits.brought import Brought, same_samples
from finecal.logits.doubts import doubts, predicted
from finecal.logits.repeated import repeated

NO_SUBSET = "No column `subset`: all rows are taken as test rows."
SWAPPED = (
    "γ is below 0: the classes of S are too low, not those of U. Fine-tuning does the opposite, so look whether S is "
    "told the wrong way round."
)
NO_U_IN_TEST = "No test row is of an absent class: what calibration is worth is not known."


def diagnose(
    logits: Any,
    labels: Any = None,
    fine_tuning: Any = None,
    *,
    pretrained: Any = None,
    features: Any = None,
    subset: Any = None,
    classes: Any = None,
) -> Diagnosis:
    """Say what fine-tuning damaged in a classifier, and what brings it back, from its logits alone.

    >>> import finecal, numpy as np
    >>> labels = np.arange(400) % 4
    >>> logits = 3 * np.eye(4)[labels] + [4, 4, 0, 0] + np.random.default_rng(0).normal(size=(400, 4))
    >>> r = finecal.diagnose(logits, labels, [0, 1], subset=np.repeat(["train", "test"], 200))
    >>> r.gamma > 3 and bool((r.apply(logits).argmax(1) == labels).mean() > 0.9)
    True

    Parameters
    ----------
    logits
        (N, C) numbers: NumPy, torch, Arrow, pandas, polars, lists. Or a table with columns, or a file (Parquet,
        Feather, CSV, npz, npy, pt, safetensors, HDF5), from which the rest is taken where it is not given.
        Probabilities, log-probabilities, sigmoids and percentages are recognised, and the logits behind them taken;
        `finecal.ScoresAs(values, kind)` says what they are.
    labels
        (N,) class numbers from 0, names, categories.
    fine_tuning
        S, the classes of fine-tuning: numbers, names, or a mask (C,).
    pretrained
        The pretrained model's logits of the same samples. Rows are matched by a column sample, id or file where both
        are tables with one; else they must be in the same order. Without it what was damaged is not known.
    features
        (N, D), what the last layer reads.
    subset
        (N,) of train, validation and test, or one word for all rows; without it all rows are test rows.
    classes
        Names of the classes in the order of the columns.

    Raises
    ------
    UserError
        For whatever cannot be used; it says what is allowed.

    Notes
    -----
    γ is added to the logits of the absent classes (Mai et al. 2024, Fine-tuning is fine, if calibrated,
    arXiv 2409.16223); intervals are those of docs/intervals.md.
    """
    if fine_tuning is None:
        raise UserError(
            "the fine-tuning classes are missing", where=ARGUMENT, why="Numbers, names, or a mask are needed"
        )
    names = names_of(classes)
    check_index(pretrained, logits, "pretrained")
    tuned = bring(logits, labels=labels, features=features, subset=subset, classes=names)
    before = None if pretrained is None else bring(pretrained, classes=names, labelled=False)
    inputs = files_of(logits, labels, pretrained, features)
    files = paths_of(logits=logits, labels=labels, pretrained=pretrained, features=features, classes=classes)
    return diagnose_brought(tuned, before, fine_tuning, inputs=inputs, where=ARGUMENT, files=files)


def diagnose_brought(
    tuned: Brought, before: Brought | None, fine_tuning: Any, *, inputs: Sequence[str | Path] = (), where: str,
    files: Mapping[str, str | None],
) -> Diagnosis:  # fmt: skip
    """Diagnose checked logits, as `diagnose`; `files` are the arguments that were paths."""
    mask = mask_of(fine_tuning, tuned.logits.shape[1], tuned.classes, where)
    notes = [*tuned.notes]
    strangers = False
    if before is not None:
        before, said = same_samples(tuned, before)
        strangers = STRANGERS in said
        notes += [*said, *(f"Pretrained: {note}" for note in before.notes)]
    if tuned.subset is None:
        notes.append(NO_SUBSET)
    after = _predictions(tuned)
    if not after.test.any():
        raise UserError("there is no test sample", where=tuned.where, why="At least one row needs the subset 'test'")
    masked = sorted({*tuned.masked, *(before.masked if before else ())})
    holes = max(tuned.holes, before.holes if before else 0)
    doubted = doubts(after.logits, after.labels, after.subset, mask, tuple(masked), holes)
    if mask[after.labels[after.test]].all():
        notes.append(NO_U_IN_TEST)
    notes += predicted(after.logits, after.labels)
    notes += repeated(after.logits, after.labels, after.subset)
    measured = measure(after, None if before is None else _predictions(before), mask, strangers=strangers)
    name = Path(tuned.where).name or "logits"
    coordinates: dict[str, str | int] = {"dataset": name, **SETTING, "split": "", "seed": 0}
    (answer,) = answers_of(
        *(with_columns(measured.tables[table], coordinates).to_pandas() for table in ("metrics", "calibration"))
    )
    answer = with_code(answer, measured, mask, call(files, np.flatnonzero(mask).tolist()))
    if answer.advice.gamma_mean < 0:
        notes.append(SWAPPED)
    record = provenance({"verb": "diagnose", "options": {"fine_tuning": np.flatnonzero(mask).tolist()}}, inputs=inputs)
    classes = tuned.classes or tuple(map(str, range(len(mask))))
    return Diagnosis(
        withheld(answer, doubted) if doubted else answer, tuple(doubted), (*notes, *measured.notes),
        tuple(measured.left_out), mask, classes, tuned.kind, before.kind if before else "logits", measured, record,
        name,
    )  # fmt: skip


def _predictions(brought: Brought) -> Predictions:
    assert brought.labels is not None
    n = len(brought.labels)
    subset = np.full(n, "test") if brought.subset is None else brought.subset
    return Predictions(np.arange(n, dtype=np.int32), brought.labels, subset, brought.logits, brought.features)
