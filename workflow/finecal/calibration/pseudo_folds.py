"""Read and check the pseudo-splits of a run, which PCV and those like it are fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal import schemas
from finecal.calibration.contract import PseudoFold
from finecal.calibration.inputs import FINE_TUNING, Predictions, check_logits
from finecal.errors import UserError
from finecal.io.arrow_values import numbers, words
from finecal.io.list_columns import matrix_column
from finecal.io.parquet import read_table


def read_pseudo_folds(
    path: str | Path, fine_tuning: npt.NDArray[np.bool_], pretrained: Predictions | None = None
) -> list[PseudoFold]:
    """Read the pseudo-splits of a run: for each fold the validation logits, for the classes of S and for all.

    Parameters
    ----------
    fine_tuning
        (C,) bool, the classes of S.
    pretrained
        The pretrained model's predictions: with them each fold has those of its samples, too, for the classes of S.

    Raises
    ------
    UserError
        If the file is missing or corrupt, a logit or label is wrong, or `pretrained` lacks a sample.
    """
    columns = ("fold", *(("sample",) if pretrained else ()), "label", "group", "logits")
    table = read_table(path, schemas.select(schemas.PSEUDO_LOGITS, *columns))
    logits, labels = matrix_column(table, "logits", path), numbers(table["label"])
    check_logits(logits, labels, len(fine_tuning), str(path))
    before = _of_samples(pretrained, numbers(table["sample"]), str(path)) if pretrained else None
    pseudo = words(table["group"]) == FINE_TUNING
    folds, of_s = numbers(table["fold"]), np.flatnonzero(fine_tuning)
    result = []
    for fold in np.unique(folds):
        rows = folds == fold
        in_s_prime = np.isin(of_s, labels[rows & pseudo])
        z, more = logits[rows], {} if before is None else {"pretrained": before[rows][:, of_s]}
        found = np.searchsorted(of_s, labels[rows])
        result.append(PseudoFold(z[:, of_s], found, in_s_prime, all_logits=z, more=more))
    return result


def _of_samples(predictions: Predictions, samples: npt.NDArray[Any], where: str) -> npt.NDArray[np.float32]:
    """Return the (len(samples), C) logits of some samples, which may repeat, by their numbers."""
    order = np.argsort(predictions.samples)
    places = np.searchsorted(predictions.samples, samples, sorter=order)
    rows = order[np.minimum(places, len(order) - 1)]
    missing = samples[predictions.samples[rows] != samples]
    if len(missing):
        raise UserError(f"the pretrained model's logits have no sample {missing[0]}", where=where)
    return predictions.logits[rows]
