"""Logits are checked where they enter: each way in which a logits.parquet can be wrong, word for word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finecal.calibration.inputs import group_names, read_predictions, read_split
from finecal.errors import UserError
from finecal.io.list_columns import list_array
from finecal.io.parquet import write_table

CLASSES = 3
LOGITS = np.arange(12, dtype=np.float32).reshape(4, CLASSES)


def columns() -> dict[str, Any]:
    return {
        "sample": np.arange(4, dtype=np.int32),
        "label": np.array([0, 1, 2, 1], dtype=np.int32),
        "subset": ["train", "test", "train", "test"],
        "logits": list_array(LOGITS),
        "features": list_array(np.ones((4, 2), np.float32)),
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(**changes: Any) -> Path:
        table = {name: value for name, value in {**columns(), **changes}.items() if value is not None}
        write_table(tmp_path / "logits.parquet", pa.table(table), provenance={})
        return tmp_path / "logits.parquet"

    return write


def test_a_good_file(write: Callable[..., Path]) -> None:
    found = read_predictions(write(), num_classes=CLASSES, features=True)
    assert found.samples.tolist() == [0, 1, 2, 3]
    assert found.labels.tolist() == [0, 1, 2, 1]
    assert found.test.tolist() == [False, True, False, True]
    assert np.array_equal(found.logits, LOGITS)
    assert found.logits.dtype == np.float32
    assert found.features is not None
    assert found.features.shape == (4, 2)
    chosen = found.select(found.test)
    assert np.array_equal(chosen.logits, LOGITS[[1, 3]])
    assert chosen.labels.tolist() == [1, 1]


def test_features_are_read_only_when_asked_for(write: Callable[..., Path]) -> None:
    assert read_predictions(write(features=None), num_classes=CLASSES).features is None


def changed(row: int, column: int, value: float) -> pa.Array:
    logits = LOGITS.copy()
    logits[row, column] = value
    return list_array(logits)


DIVERGED = "Hint: Such logits come from a diverged model or a lost half-precision value."
# id: (column, its value, what the message says)
FAULTS: dict[str, tuple[str, Any, str]] = {
    "NaN": ("logits", changed(2, 0, np.nan), f"row 2 has a logit that is NaN or infinite (1 row does). {DIVERGED}"),
    "infinite": (
        "logits",
        changed(1, 2, np.inf),
        f"row 1 has a logit that is NaN or infinite (1 row does). {DIVERGED}",
    ),
    "minus infinite": (
        "logits",
        changed(0, 1, -np.inf),
        f"row 0 has a logit that is NaN or infinite (1 row does). {DIVERGED}",
    ),
    "many NaN": (
        "logits",
        list_array(np.full((4, CLASSES), np.nan)),
        f"row 0 has a logit that is NaN or infinite (4 rows do). {DIVERGED}",
    ),
    "label too large": ("label", np.array([0, 1, 3, 1], np.int32), "row 2 has the label 3. Labels are 0 to 2."),
    "label negative": ("label", np.array([0, -1, 2, 1], np.int32), "row 1 has the label -1. Labels are 0 to 2."),
    "too narrow": ("logits", list_array(LOGITS[:, :2].copy()), "the logits have 2 columns. The data has 3 classes."),
    "too wide": ("logits", list_array(np.zeros((4, 5))), "the logits have 5 columns. The data has 3 classes."),
    "duplicate sample": ("sample", np.array([4, 7, 5, 7], np.int32), "sample 7 is there more than once."),
    "labels of another type": (
        "label",
        np.array([0, 1, 2, 1], np.int64),
        "the column 'label' is int64. It must be int32.",
    ),
    "no logits": ("logits", None, "the column 'logits' is missing. It has sample, label, subset, features."),
    "no features": ("features", None, "the column 'features' is missing. It has sample, label, subset, logits."),
    "ragged": (
        "logits",
        [[1.0, 2.0, 3.0], [1.0, 2.0], [1.0], [1.0]],
        "the column 'logits' has lists of different lengths: 1, 2, 3.",
    ),
    "one logit empty": (
        "logits",
        [[1.0, 2.0, 3.0], [1.0, None, 2.0], [0.0] * 3, [0.0] * 3],
        f"row 1 has a logit that is NaN or infinite (1 row does). {DIVERGED}",
    ),
    "one row empty": (
        "logits",
        [[1.0, 2.0, 3.0], None, [0.0] * 3, [0.0] * 3],
        "the column 'logits' has 1 empty value.",
    ),
    "a number per sample": (
        "logits",
        [1.0, 2.0, 3.0, 4.0],
        "the column 'logits' has values of type double instead of lists of numbers.",
    ),
    "texts": (
        "logits",
        [["1", "2", "3"]] * 4,
        "the column 'logits' has values of type list<element: string> instead of lists of numbers.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault(fault: str, write: Callable[..., Path]) -> None:
    column, value, message = FAULTS[fault]
    path = write(**{column: value})
    with pytest.raises(UserError) as caught:
        read_predictions(path, num_classes=CLASSES, features=True)
    assert str(caught.value) == f"{path}: {message}"


# ------------------------------------------------------------------ splits


def test_a_split_is_a_mask_and_names(tmp_path: Path) -> None:
    table = {"class": np.arange(3, dtype=np.int32), "name": ["a", "b", "c"], "group": group_names([True, False, True])}
    pq.write_table(pa.table(table), tmp_path / "split.parquet")
    mask, names = read_split(tmp_path / "split.parquet")
    assert mask.tolist() == [True, False, True]
    assert names == ("a", "b", "c")
