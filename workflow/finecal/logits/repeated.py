"""Rows that are there more than once: the same samples in training and test, or in the test rows alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import counted
from finecal.io import large

SHARE = 0.02  # of test rows, from which it is no accident


def repeated(logits: npt.NDArray[Any], labels: npt.NDArray[Any], subset: npt.NDArray[Any]) -> list[str]:
    """Say how many test rows have the logits and the label of another row.

    Whole numbers are left out, and so are two classes: there different samples may have the same.
    """
    test = subset == "test"
    if logits.shape[1] < 3 or not test.any() or _whole(logits):
        return []
    keys = _keys(logits, labels)
    said = []
    seen = np.isin(keys[test], keys[~test])
    if seen.mean() > SHARE:
        said.append(
            f"{counted(int(seen.sum()), 'test row')} of {test.sum():,} {_have(int(seen.sum()))} the logits of a "
            "training or validation row: if they are the same samples, accuracies and intervals are those of data "
            "that was fitted."
        )
    more = test.sum() - len(np.unique(keys[test]))
    if more > SHARE * test.sum():
        said.append(
            f"{counted(int(more), 'test row')} of {test.sum():,} {'repeats' if more == 1 else 'repeat'} another: "
            "intervals are too narrow."
        )
    return said


def _have(rows: int) -> str:
    return "has" if rows == 1 else "have"


def _whole(logits: npt.NDArray[Any]) -> bool:
    first = logits[: min(len(logits), 1024)]
    return bool((first == np.floor(first)).all())


def _keys(logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A number for each row, which other logits have with no chance worth speaking of."""
    weights = np.random.default_rng(0).standard_normal(logits.shape[1])
    keys = np.empty(len(logits))
    for rows in large.parts(logits):
        keys[rows] = (logits[rows] * weights).sum(axis=1)  # a product of matrices depends on the rows beside
    found: npt.NDArray[np.float64] = keys + labels
    return found
