"""Check arrays that come from outside; each mistake is one UserError."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError, counted

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
ROWS = 4096  # of features that are looked at together


def reject_rows(bad: Mask, what: str, fault: str, offset: int = 0) -> None:
    """Raise UserError for the first row of `bad` (N,), whose number is counted from `offset`."""
    if bad.any():
        raise UserError(f"the {what} of row {offset + int(bad.argmax())} {fault}")


def check_gamma(gamma: float) -> float:
    """Return γ as a float; raise UserError if it is NaN."""
    if np.isnan(gamma):
        raise UserError("γ is NaN")
    return float(gamma)


def check_matrix(values: npt.ArrayLike, name: str, columns: str) -> npt.NDArray[Any]:
    """Return (N, C) float32 or float64 as it is, other real numbers as float64; raise UserError for anything else."""
    x = np.asarray(values)
    if x.ndim != 2 or x.shape[1] == 0:
        raise UserError(f"{name} must be a (samples, {columns}) array, got shape {x.shape}")
    if x.dtype.kind not in "fiu":
        raise UserError(f"{name} must be real numbers, got dtype {x.dtype}")
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def check_features(features: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return (N, D) features; raise UserError unless they are finite real numbers."""
    x = check_matrix(features, "features", "dimensions")
    for start in range(0, len(x), ROWS):  # no mask as large as the features
        reject_rows(~np.isfinite(x[start : start + ROWS]).all(axis=1), "features", "are not finite", start)
    return x


def check_labels(labels: npt.ArrayLike, num_samples: int, num_classes: int) -> Ints:
    """Return (N,) labels; raise UserError unless they are integers from 0 to `num_classes` − 1."""
    y = np.asarray(labels)
    if y.shape != (num_samples,):
        raise UserError(f"labels must have shape ({num_samples},), one for each sample, got shape {y.shape}")
    if y.dtype.kind not in "iu":
        raise UserError(f"labels must be integers, got dtype {y.dtype}")
    bad = np.flatnonzero((y < 0) | (y >= num_classes))
    if bad.size:
        why = f"The logits have {counted(num_classes, 'class')}, so labels go from 0 to {num_classes - 1}"
        raise UserError(f"label {y[bad[0]]} of row {bad[0]} is out of range", why=why)
    return y.astype(np.intp)


def check_fine_tuning(fine_tuning: npt.ArrayLike, num_classes: int) -> Mask:
    """Return (C,) True for the classes of S, from a boolean mask or from class indices.

    Raises
    ------
    UserError
        If it is neither, or S or U would be empty.
    """
    given = np.asarray(fine_tuning)
    if given.dtype.kind == "b":
        if given.shape != (num_classes,):
            columns = counted(num_classes, "class")
            raise UserError(f"the fine-tuning mask has shape {given.shape}, the logits have {columns}")
        mask = given.copy()
    else:
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            raise UserError(
                "fine-tuning classes must be a list of class indices or a boolean mask, "
                f"got dtype {given.dtype} and shape {given.shape}"
            )
        index, count = np.unique(given.astype(np.int64), return_counts=True)
        bad = index[(index < 0) | (index >= num_classes)]
        if bad.size:
            why = f"The logits have {counted(num_classes, 'class')}: 0 to {num_classes - 1}"
            raise UserError(f"fine-tuning class {bad[0]} is out of range", why=why)
        if (count > 1).any():
            hint = "a mask must have boolean dtype"
            raise UserError(f"fine-tuning class {index[count > 1][0]} is listed more than once", hint=hint)
        mask = np.zeros(num_classes, bool)
        mask[index] = True
    if not mask.any():
        raise UserError("there is no fine-tuning class", why="The curve needs at least one")
    if mask.all():
        raise UserError("all classes are fine-tuning classes", why="The curve needs at least one absent class")
    return mask
