"""Pseudo-splits as calibrators see them: columns of S alone and of all, joined with the pretrained model by sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finecal.calibration.contract import Data, PseudoFold, UndeclaredRead
from finecal.calibration.inputs import Predictions
from finecal.calibration.pseudo_folds import read_pseudo_folds
from finecal.errors import UserError
from finecal.io.list_columns import list_array

# Five classes, S = 1, 2, 4; S′ = {1} in the first fold and {2, 4} in the second.
FINE_TUNING = np.array([False, True, True, False, True])
LOGITS = np.arange(30, dtype=np.float32).reshape(6, 5)
SAMPLES = np.array([7, 7, 3, 3, 5, 2], np.int32)  # a sample may be in several folds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    table = pa.table(
        {
            "fold": np.array([0, 1, 0, 1, 0, 1], np.int32),
            "sample": SAMPLES,
            "label": np.array([1, 1, 4, 4, 2, 2], np.int32),
            "group": ["fine_tuning", "absent", "absent", "fine_tuning", "absent", "fine_tuning"],
            "logits": list_array(LOGITS),
        }
    )
    pq.write_table(table, tmp_path / "logits.parquet")
    return tmp_path / "logits.parquet"


def predictions(samples: list[int]) -> Predictions:
    """Logits of sample n are 100 n + (0, 1, 2, 3, 4)."""
    numbers = np.array(samples, np.int32)
    logits = (100 * numbers[:, None] + np.arange(5)).astype(np.float32)
    return Predictions(numbers, np.ones(len(numbers), np.int32), np.full(len(numbers), "train"), logits, None)


def test_folds_have_the_columns_of_s_and_all(path: Path) -> None:
    first, second = read_pseudo_folds(path, FINE_TUNING)
    assert np.array_equal(first.logits, LOGITS[[0, 2, 4]][:, [1, 2, 4]])
    assert first.labels.tolist() == [0, 2, 1]  # positions among 1, 2, 4
    assert first.fine_tuning.tolist() == [True, False, False]
    assert second.labels.tolist() == [0, 2, 1]
    assert second.fine_tuning.tolist() == [False, True, True]
    assert first.all_logits is not None
    assert np.array_equal(first.all_logits, LOGITS[[0, 2, 4]])
    assert not first.more


@pytest.mark.parametrize("order", [[2, 3, 5, 7, 9], [9, 7, 2, 5, 3]])
def test_the_pretrained_model_is_joined_by_sample(path: Path, order: list[int]) -> None:
    """Whatever the order of its rows, and whichever other samples it has."""
    first, second = read_pseudo_folds(path, FINE_TUNING, predictions(order))
    assert first["pretrained"].tolist() == [[701, 702, 704], [301, 302, 304], [501, 502, 504]]
    assert second["pretrained"].tolist() == [[701, 702, 704], [301, 302, 304], [201, 202, 204]]
    assert np.array_equal(first.logits, LOGITS[[0, 2, 4]][:, [1, 2, 4]])


@pytest.mark.parametrize("there", [[2, 3, 5], [3, 5, 7], [2, 3, 7, 11]])
def test_a_sample_that_the_pretrained_model_lacks_is_an_error(path: Path, there: list[int]) -> None:
    (missing,) = {2, 3, 5, 7} - set(there)
    with pytest.raises(UserError) as caught:
        read_pseudo_folds(path, FINE_TUNING, predictions(there))
    assert str(caught.value) == f"{path}: the pretrained model's logits have no sample {missing}."


def test_a_fold_has_the_pretrained_model_only_if_it_is_declared(path: Path) -> None:
    available = {"pseudo_splits": read_pseudo_folds(path, FINE_TUNING, predictions([2, 3, 5, 7]))}
    declared = Data(FINE_TUNING, available, frozenset({"pseudo_splits", "pretrained"}))["pseudo_splits"]
    assert [
        fold["pretrained"] is given["pretrained"]
        for fold, given in zip(declared, available["pseudo_splits"], strict=True)
    ] == [True, True]
    folds: list[PseudoFold] = Data(FINE_TUNING, available, frozenset({"pseudo_splits"}))["pseudo_splits"]
    assert [dict(fold.more) for fold in folds] == [{}, {}]
    with pytest.raises(UndeclaredRead, match="'pretrained' is read but not declared"):
        folds[0]["pretrained"]
