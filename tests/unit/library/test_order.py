"""Rows and columns that are there in another order: matched by their names, refused, or named; never mistaken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from logits_cases import CLASSES, S, arrays

from finecal import LogitCalibrator, UserError, diagnose
from finecal.logits.doubts import doubts, predicted

A = arrays()
SWAPPED = [0, 1, 2, 4, 3, 5]  # two classes of U: accuracy on S says nothing about them
WORDS = np.array(CLASSES)[A["label"]]
BEFORE = A["logits"] - np.where(np.arange(6) < 3, 4, 0)
PLAIN = diagnose(A["logits"], A["label"], S, pretrained=BEFORE, subset=A["subset"])


def frame(logits: np.ndarray, order: list[int], prefix: str = "logit_", **more: Any) -> pd.DataFrame:
    return pd.DataFrame({**{f"{prefix}{CLASSES[k]}": logits[:, k] for k in order}, **more})


@pytest.mark.parametrize("prefix", ["logit_", ""])
def test_columns_follow_the_names_that_were_given(prefix: str) -> None:
    given = frame(A["logits"], SWAPPED, prefix)
    found = diagnose(given, A["label"], S, subset=A["subset"], classes=CLASSES)
    assert found.gamma == pytest.approx(diagnose(A["logits"], A["label"], S, subset=A["subset"]).gamma, abs=1e-6)
    assert any("brought into the order of the given classes" in note for note in found.notes)
    other = diagnose(given, A["label"], S, subset=A["subset"], classes=[name.upper() for name in CLASSES])
    assert any("column k is taken as the k-th class" in note for note in other.notes)


def test_the_pretrained_models_columns_follow_their_names() -> None:
    tuned = frame(A["logits"], list(range(6)), label=WORDS, subset=A["subset"])
    before = frame(BEFORE, SWAPPED, label=WORDS)
    found = diagnose(tuned, None, S, pretrained=before)
    pd.testing.assert_frame_equal(found.metrics, PLAIN.metrics)
    assert any(note.startswith("Pretrained: The columns were brought into the order") for note in found.notes)


def test_an_estimator_knows_the_columns_by_their_names() -> None:
    for prefix in ("", "logit_"):
        X = frame(A["logits"], SWAPPED, prefix)  # noqa: N806
        plain = LogitCalibrator(fine_tuning=CLASSES[:3]).fit(X.to_numpy()[:, np.argsort(SWAPPED)], WORDS)
        named = LogitCalibrator(fine_tuning=CLASSES[:3]).fit(X, WORDS)
        assert named.classes_.tolist() == [CLASSES[k] for k in SWAPPED]
        assert named.state_ == plain.state_
        assert named.score(X, WORDS) > 0.9


def test_an_index_in_another_order_is_refused() -> None:
    logits, labels = pd.DataFrame(A["logits"]), pd.Series(A["label"])
    with pytest.raises(UserError, match="label has the index of the logits in another order"):
        diagnose(logits, labels[::-1], S, subset=A["subset"])
    with pytest.raises(UserError, match="pretrained has the index of the logits"):
        diagnose(logits, labels, S, subset=A["subset"], pretrained=pd.DataFrame(BEFORE)[::-1])
    diagnose(logits, labels.set_axis(range(5, 245)), S, subset=A["subset"])  # other rows: the order counts


def test_methods_that_read_rows_of_strangers_are_left_out() -> None:
    order = np.arange(240).reshape(40, 6)[np.random.default_rng(0).permutation(40)].reshape(-1)
    found = diagnose(A["logits"], A["label"], S, pretrained=BEFORE[order], subset=A["subset"])
    assert "source_gap" in PLAIN.gammas
    assert "source_gap" not in found.gammas
    assert any("pretrained logits of the same samples: " in line and "source_gap" in line for line in found.left_out)


@pytest.mark.parametrize(("trained", "told", "said"), [
    ([0, 1, 2], [1, 2, 3], True), ([0, 1, 2], [3, 4, 5], True), ([0, 1], [2, 3, 4, 5], True),
    ([0, 1, 2], [0, 1, 2], False), ([0, 1, 2, 3, 4, 5], [0, 1, 2], False), ([0, 1], [0, 1, 2], False),
    ([0, 1, 3, 4, 5], [0, 1, 2], False),
])  # fmt: skip
def test_training_rows_say_what_was_trained_on(trained: list[int], told: list[int], said: bool) -> None:
    kept = (A["subset"] == "test") | np.isin(A["label"], trained)
    mask = np.isin(np.arange(6), told)
    found = doubts(A["logits"][kept], A["label"][kept], A["subset"][kept], mask)
    assert any(one.startswith("The training rows have the labels") for one in found) == said


def test_labels_that_are_predictions_are_named() -> None:
    assert "if the labels are predictions" in predicted(A["logits"], A["logits"].argmax(axis=1))[0]
    assert predicted(A["logits"], A["label"]) == []


def test_new_logits_follow_the_names_too() -> None:
    found = diagnose(frame(A["logits"], list(range(6))), WORDS, S, subset=A["subset"])
    for prefix in ("", "logit_"):
        np.testing.assert_array_equal(found.apply(frame(A["logits"], SWAPPED, prefix)), found.apply(A["logits"]))


@pytest.mark.parametrize("name", ["idx", "id"])
def test_an_index_with_a_name_is_no_class(name: str) -> None:
    given = frame(A["logits"], list(range(6)), "").rename_axis(name)
    found = diagnose(given, A["label"], S, subset=A["subset"], features=pd.DataFrame(A["logits"]))
    assert found.classes == tuple(CLASSES)
    assert found.gammas["alg"] == pytest.approx(PLAIN.gammas["alg"], abs=1e-6)
    with pytest.raises(UserError, match="there is no sample"):
        diagnose(pd.DataFrame(), A["label"], S)
