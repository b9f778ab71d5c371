"""Read and check the inputs of calibrators: logits, weights, the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal import schemas
from finecal.calibration.contract import Head, Labelled, PseudoFold, Unlabelled
from finecal.errors import UserError, counted, not_finite
from finecal.io.arrow_values import numbers, words
from finecal.io.large import drawn, take
from finecal.io.list_columns import matrix_column
from finecal.io.parquet import read_table

FINE_TUNING, ABSENT = "fine_tuning", "absent"


@dataclass(frozen=True)
class Predictions:
    """A model's logits, and features if asked for, of the samples of a domain.

    Attributes
    ----------
    samples, labels
        (N,) int32.
    subset
        (N,) of the words train, validation and test.
    logits
        (N, C) float32.
    features
        (N, D) float32, or None where they were not asked for.
    """

    samples: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    subset: npt.NDArray[Any]
    logits: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32] | None

    @property
    def train(self) -> npt.NDArray[np.bool_]:
        """(N,) bool: the training samples."""
        return self._of("train")

    @property
    def validation(self) -> npt.NDArray[np.bool_]:
        """(N,) bool: labelled samples held out from training."""
        return self._of("validation")

    @property
    def test(self) -> npt.NDArray[np.bool_]:
        """(N,) bool: the test samples."""
        return self._of("test")

    def _of(self, subset: str) -> npt.NDArray[np.bool_]:
        members: npt.NDArray[np.bool_] = self.subset == subset
        return members

    def select(self, rows: npt.NDArray[Any]) -> Labelled:
        """Return the logits and labels of some rows, by a mask (N,) or their numbers."""
        return Labelled(take(self.logits, rows), self.labels[rows])


@dataclass(frozen=True)
class Seen:
    """All that is known of a run's samples; each calibrator is handed the part that it declares.

    Attributes
    ----------
    tuned, pretrained
        The predictions of the fine-tuned and of the pretrained model for the same samples.
    interpolated
        Weight α → (N, C) logits of the model in between.
    head
        The last layer of the fine-tuned model.
    """

    tuned: Predictions
    pretrained: Predictions | None = None
    interpolated: Mapping[float, npt.NDArray[Any]] | None = None
    head: Head | None = None

    def select(self, rows: npt.NDArray[Any]) -> Labelled:
        """Return some samples, by a mask (N,) or their numbers, with everything that is known of them."""
        more: dict[str, Any] = {}
        if self.tuned.features is not None:
            more["features"] = take(self.tuned.features, rows)
        if self.pretrained is not None:
            more["pretrained"] = take(self.pretrained.logits, rows)
        if self.interpolated is not None:
            more["interpolated"] = {alpha: logits[rows] for alpha, logits in self.interpolated.items()}
        if self.head is not None:
            more["weights"] = self.head
        return replace(self.tuned.select(rows), more=more)

    def available(
        self, fine_tuning: npt.NDArray[np.bool_], folds: Sequence[PseudoFold] | None, most: int | None = None
    ) -> dict[str, Any]:
        """Return what there is to read: key of `finecal.calibration.READABLE` → the data.

        Unlabelled target data are the logits of the training samples of all classes; the model was trained on
        those of S. Test samples are never among them. Of more than `most` samples so many are taken, evenly spread.
        """
        tuned = self.tuned
        of_s, train, validation = (
            rows if most is None else drawn(rows, most)
            for rows in (tuned.train & fine_tuning[tuned.labels], tuned.train, tuned.validation)
        )
        data: dict[str, Any] = {"test": self.select(tuned.test)}
        if of_s.any():
            data["train_fine_tuning"] = self.select(of_s)
        if train.any():
            of_all = self.select(train)
            data["target_unlabelled"] = Unlabelled(of_all.logits, more=of_all.more)
        if validation.any():
            data["validation"] = self.select(validation)
        if self.head is not None:
            data["weights"] = self.head
        if folds is not None:
            data["pseudo_splits"] = folds
        return data


def read_predictions(path: str | Path, *, num_classes: int, features: bool = False) -> Predictions:
    """Read a logits.parquet.

    Raises
    ------
    UserError
        If the file is missing or corrupt, a column is missing, the logits are not `num_classes` wide or not
        finite, a label is out of range, or a sample is there twice.
    """
    columns = ("sample", "label", "subset", "logits", *(("features",) if features else ()))
    table = read_table(path, schemas.select(schemas.LOGITS, *columns))
    samples, labels = numbers(table["sample"]), numbers(table["label"])
    logits = matrix_column(table, "logits", path)
    check_logits(logits, labels, num_classes, str(path))
    if len(np.unique(samples)) != len(samples):
        distinct, counts = np.unique(samples, return_counts=True)
        raise UserError(f"sample {distinct[counts > 1][0]} is there more than once", where=str(path))
    subset = words(table["subset"])
    return Predictions(samples, labels, subset, logits, matrix_column(table, "features", path) if features else None)


def read_pretrained(path: str | Path, tuned: Predictions, *, features: bool = False) -> Predictions:
    """Read the predictions of the pretrained model, as `read_predictions`, for the samples of the fine-tuned one.

    Raises
    ------
    UserError
        As `read_predictions`, and if the samples differ.
    """
    found = read_predictions(path, num_classes=tuned.logits.shape[1], features=features)
    if not np.array_equal(found.samples, tuned.samples) or not np.array_equal(found.subset, tuned.subset):
        raise UserError("the samples differ from those of the fine-tuned model", where=str(path))
    return found


def read_interpolated(path: str | Path, tuned: Predictions) -> dict[float, npt.NDArray[Any]]:
    """Read interpolated/logits.parquet as weight α → (N, C) logits; its samples must be those of `tuned`."""
    table = read_table(path, schemas.select(schemas.INTERPOLATED, "sample", "label", "alpha", "logits"))
    logits, alphas = matrix_column(table, "logits", path), numbers(table["alpha"])
    check_logits(logits, numbers(table["label"]), tuned.logits.shape[1], str(path))
    samples = numbers(table["sample"])
    found = {}
    for alpha in np.unique(alphas):
        rows = alphas == alpha
        if not np.array_equal(samples[rows], tuned.samples):
            raise UserError("the samples differ from those of the fine-tuned model", where=str(path))
        found[float(alpha)] = logits[rows]
    return found


def read_head(path: str | Path, num_classes: int) -> Head:
    """Read the last layer from a head.parquet.

    Raises
    ------
    UserError
        If the file is missing or corrupt, the head has not `num_classes` rows, or a weight is not finite.
    """
    table = read_table(path, schemas.select(schemas.HEAD, "weight", "bias"))
    weight = matrix_column(table, "weight", path).astype(np.float64)
    head = Head(weight, numbers(table["bias"]).astype(np.float64))
    if len(weight) != num_classes:
        raise UserError(
            f"the head has {counted(len(weight), 'row')}", where=str(path),
            why=f"The data has {counted(num_classes, 'class')}",
        )  # fmt: skip
    if not (np.isfinite(head.weight).all() and np.isfinite(head.bias).all()):
        raise UserError("a weight is NaN or infinite", where=str(path))
    return head


def check_logits(logits: npt.NDArray[Any], labels: npt.NDArray[Any], num_classes: int, where: str) -> None:
    """Check width and finiteness of logits and the range of labels; raise UserError for the first wrong row."""
    if logits.shape[1] != num_classes:
        raise UserError(
            f"the logits have {counted(logits.shape[1], 'column')}", where=where,
            why=f"The data has {counted(num_classes, 'class')}",
        )  # fmt: skip
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        raise not_finite(int(bad[0]), len(bad), where)
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(outside):
        row = int(outside[0])
        raise UserError(f"row {row} has the label {labels[row]}", where=where, why=f"Labels are 0 to {num_classes - 1}")


def read_split(path: str | Path) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """Read the (C,) bool mask of S and the names of the classes from a split.parquet."""
    table = read_table(path, schemas.select(schemas.SPLIT, "class", "name", "group"))
    return words(table["group"]) == FINE_TUNING, tuple(table["name"].to_pylist())


def group_names(fine_tuning: Sequence[bool] | npt.NDArray[np.bool_]) -> list[str]:
    """Return "fine_tuning" or "absent" for each entry of a mask."""
    return [FINE_TUNING if member else ABSENT for member in fine_tuning]
