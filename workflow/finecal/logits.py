"""Read logits.parquet, checked: which rows, which labels, and that everything in it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from finecal.artifacts import matrix_column, read_table
from finecal.calibration import Labelled, PseudoFold
from finecal.errors import UserError

SPLIT_SCHEMA = pa.schema([("class", pa.int32()), ("name", pa.string()), ("group", pa.string())])
FINE_TUNING, ABSENT = "fine_tuning", "absent"


@dataclass(frozen=True)
class Predictions:
    """What a model says about the samples of a domain.

    Attributes
    ----------
    samples, labels
        (N,) int32.
    test
        (N,) bool.
    logits
        (N, C) float32.
    features
        (N, D) float32, or None where they were not asked for.
    """

    samples: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    test: npt.NDArray[np.bool_]
    logits: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32] | None

    def chosen(self, rows: npt.NDArray[np.bool_]) -> Labelled:
        """The logits and labels of some rows (bool mask)."""
        return Labelled(self.logits[rows], self.labels[rows])


def read_predictions(path: str | Path, *, num_classes: int, features: bool = False) -> Predictions:
    """Read a logits.parquet.

    Raises
    ------
    UserError
        If the file is missing or corrupt, a column is missing, the logits are not `num_classes` wide or not
        finite, a label is out of range, or a sample is there twice.
    """
    columns = [("sample", pa.int32()), ("label", pa.int32()), ("subset", pa.string()), ("logits", pa.null())]
    table = read_table(path, pa.schema([*columns, *([("features", pa.null())] if features else [])]))
    samples, labels = table["sample"].to_numpy(), table["label"].to_numpy()
    logits = matrix_column(table, "logits", path)
    check_logits(logits, labels, num_classes, str(path))
    if len(np.unique(samples)) != len(samples):
        numbers, counts = np.unique(samples, return_counts=True)
        raise UserError(f"sample {numbers[counts > 1][0]} is there more than once", where=str(path))
    test = pc.equal(table["subset"], "test").to_numpy()
    return Predictions(samples, labels, test, logits, matrix_column(table, "features", path) if features else None)


def check_logits(logits: npt.NDArray[Any], labels: npt.NDArray[Any], num_classes: int, where: str) -> None:
    """Width, finiteness and range of the labels; UserError names the first row that is wrong."""
    if logits.shape[1] != num_classes:
        raise UserError(
            f"the logits have {logits.shape[1]} columns", where=where, why=f"There are {num_classes} classes"
        )
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        raise UserError(
            f"row {bad[0]} has a logit that is NaN or infinite ({len(bad)} rows do)", where=where,
            hint="Such logits come from a diverged model or a lost half-precision value",
        )  # fmt: skip
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(outside):
        row = int(outside[0])
        raise UserError(f"row {row} has the label {labels[row]}", where=where, why=f"Labels are 0 to {num_classes - 1}")


def read_split(path: str | Path) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """The (C,) bool mask of S, and the names of the classes, from a split.parquet."""
    table = read_table(path, SPLIT_SCHEMA)
    return pc.equal(table["group"], FINE_TUNING).to_numpy(), tuple(table["name"].to_pylist())


def read_pseudo_folds(path: str | Path, fine_tuning: npt.NDArray[np.bool_]) -> list[PseudoFold]:
    """The pseudo-splits of a run: per fold the validation logits, cut to the columns of S."""
    schema = pa.schema([("fold", pa.int32()), ("label", pa.int32()), ("group", pa.string()), ("logits", pa.null())])
    table = read_table(path, schema)
    logits, labels = matrix_column(table, "logits", path), table["label"].to_numpy()
    check_logits(logits, labels, len(fine_tuning), str(path))
    pseudo = pc.equal(table["group"], FINE_TUNING).to_numpy()
    folds, columns = table["fold"].to_numpy(), np.flatnonzero(fine_tuning)
    result = []
    for fold in np.unique(folds):
        rows = folds == fold
        in_s_prime = np.isin(columns, labels[rows & pseudo])
        result.append(PseudoFold(logits[rows][:, columns], np.searchsorted(columns, labels[rows]), in_s_prime))
    return result


def group_names(fine_tuning: Sequence[bool] | npt.NDArray[np.bool_]) -> list[str]:
    """ "fine_tuning" or "absent" for each entry of a mask."""
    return [FINE_TUNING if member else ABSENT for member in fine_tuning]
