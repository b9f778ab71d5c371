"""Measure how much data γ needs: fit the calibrators that are a γ on random parts of the data they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal import paths, schemas
from finecal.calibration.contract import AddGamma, Data, finite_gamma
from finecal.calibration.parameters import calibrator
from finecal.io.declared import from_rows
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance
from finecal.metrics.classification import SeenUnseenCurve, seen_unseen_curve
from finecal.paths import RunKey
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.seeds import generator
from finecal.stages._inputs import read_run_inputs

# What is drawn from; a calibrator that reads anything else is left out.
SAMPLED = frozenset({"train_fine_tuning", "pretrained", "pseudo_splits", "validation"})
REPEATS = 20


def gamma_draws(plan: Plan, run: RunKey) -> None:
    """Write gamma_draws.parquet of a run: one row per calibrator, number of samples and repeat."""
    # The weights are read by none of the calibrators that count here, but their file is an input of the job.
    given = read_run_inputs(run, plan.reads(run))
    fine_tuning, data = given.fine_tuning, given.seen.available(given.fine_tuning, given.folds)
    test = data["test"]
    curve = seen_unseen_curve(test.logits, test.labels, fine_tuning)
    rows = fit_on_parts(plan.calibrators(run), data, fine_tuning, curve, tuple(run.columns().values()))
    table = with_columns(from_rows(rows, schemas.own_columns(schemas.GAMMA_DRAWS)), run.columns())
    record = provenance(Identities(plan).of_run("gamma_draws", run).record(), inputs=given.files)
    write_table(run.folder / paths.GAMMA_DRAWS, table, schemas.GAMMA_DRAWS, provenance=record)


def fit_on_parts(
    uses: Mapping[str, Any],
    data: Mapping[str, Any],
    fine_tuning: npt.NDArray[np.bool_],
    curve: SeenUnseenCurve,
    coordinates: tuple[str | int, ...],
) -> list[dict[str, Any]]:
    """Rows of gamma_draws.parquet: every calibrator that is a γ and reads samples only; `curve` is of the test samples.

    Without a test sample of U, the accuracies are NaN.
    """
    rows = []
    reference = {"best_gamma": nan, "best_acc_y_y": nan}
    if curve.n_u:
        best = curve.best()
        reference = {"best_gamma": finite_gamma(curve, best), "best_acc_y_y": float(curve.acc_y_y[best])}
    for name, use in uses.items():
        method, reads, takes = calibrator(use)
        if not issubclass(type(method), AddGamma) or not reads or not (reads | takes) <= SAMPLED:
            continue
        read = {kind: data[kind] for kind in sorted(reads) if kind in data}
        # PCV declares the training samples, whose pseudo-splits it reads: those are its data.
        own = "pseudo_splits" if "pseudo_splits" in read else next(k for k in (*read, "") if k != "pretrained")
        for n, everything, repeat in plan_of_parts(largest_class(read[own])):
            # All of it is all of each kind: the training samples are more than those of a pseudo-split.
            part = read if everything else {
                kind: draw_samples(value, n, (*coordinates, n, repeat)) for kind, value in read.items()
            }  # fmt: skip
            gamma = method.fit(Data(fine_tuning, part, reads, takes))["gamma"]
            rows.append(
                {
                    "calibrator": name, "reads": ", ".join(sorted(reads)), "n_per_class": n,
                    "everything": everything, "n_samples": size(part[own]), "repeat": repeat,
                    "gamma": gamma, "acc_y_y": curve.at(gamma).acc_y_y if curve.n_u else nan, **reference,
                }
            )  # fmt: skip
    return rows


def plan_of_parts(largest: int) -> Iterator[tuple[int, bool, int]]:
    """Yield (samples per class, whether these are all, repeat): 1, 2, 4, … `REPEATS` times each, then all once.

    >>> list(dict.fromkeys(n for n, everything, repeat in plan_of_parts(6)))
    [1, 2, 4, 6]
    """
    n = 1
    while n < largest:
        yield from ((n, False, repeat) for repeat in range(REPEATS))
        n *= 2
    yield largest, True, 0


def draw_samples(value: Any, n: int, seed: tuple[str | int, ...]) -> Any:
    """Draw at most n samples of every class; the same ones of equally labelled data (before and after fine-tuning)."""
    if isinstance(value, list):  # pseudo-splits
        return [draw_samples(fold, n, (*seed, number)) for number, fold in enumerate(value)]
    random = generator("gamma_data", *seed).random(len(value.labels))
    order = np.lexsort((random, value.labels))
    first = np.flatnonzero(np.diff(value.labels[order], prepend=-1))  # where each class begins
    place = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    rows = np.sort(order[place < n])
    return replace(value, **{field.name: _rows(getattr(value, field.name), rows) for field in fields(value)
                             if field.name != "fine_tuning"})  # fmt: skip


def _rows(value: Any, rows: npt.NDArray[np.intp]) -> Any:
    """Select rows of an array, or of every array in a mapping; anything else belongs to no sample."""
    if isinstance(value, Mapping):
        return {key: _rows(entry, rows) for key, entry in value.items()}
    return value[rows] if isinstance(value, np.ndarray) else value


def largest_class(value: Any) -> int:
    """Count the samples of the largest class, in the largest of several pseudo-splits."""
    parts = value if isinstance(value, list) else [value]
    return max(int(np.bincount(part.labels).max()) for part in parts)


def size(value: Any) -> int:
    """Count the samples, those of all pseudo-splits together."""
    return sum(len(part.labels) for part in (value if isinstance(value, list) else [value]))
