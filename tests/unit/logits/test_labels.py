"""Labels in every form mean the same classes; where they could mean others it is said or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from logits_cases import CLASSES, arrays

from finecal.errors import UserError
from finecal.logits.labels import labels_of
from finecal.logits.memory import as_array
from finecal.logits.subsets import subsets

LABEL = arrays(60)["label"]
WORDS = [CLASSES[k] for k in LABEL]


def numbers(given: Any, classes: tuple[str, ...] | None = None) -> np.ndarray:
    return labels_of(as_array(given), 6, classes).numbers


FORMS = {
    "int8": LABEL.astype(np.int8),
    "uint64": LABEL.astype(np.uint64),
    "whole floats": LABEL.astype(float),
    "one column": LABEL[:, None],
    "one column per class": np.eye(6)[LABEL],
    "list": LABEL.tolist(),
    "digits": [str(k) for k in LABEL],
    "words": WORDS,
    "bytes": np.array(WORDS, dtype="S"),
    "objects": np.array(WORDS, dtype=object),
    "categories": pd.Series(WORDS, dtype="category"),
    "series": pd.Series(LABEL, index=np.arange(60)[::-1]),
    "arrow": pa.array(WORDS),
    "chunks": pa.chunked_array([WORDS[:7], WORDS[7:]]),
    "numbers in a dictionary": pa.array(LABEL).dictionary_encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_labels(form: str) -> None:
    np.testing.assert_array_equal(numbers(FORMS[form]), LABEL)


def test_a_declared_order_counts_and_one_by_accident_does_not() -> None:
    order = ("oak", "ash", "fir", "elm", "cedar", "birch")
    expected = [order.index(word) for word in WORDS]
    declared = pd.Series(pd.Categorical(WORDS, categories=order, ordered=True))
    np.testing.assert_array_equal(numbers(declared), expected)
    np.testing.assert_array_equal(numbers(pd.Series(pd.Categorical(WORDS, categories=order))), expected)
    shuffled = list(reversed(WORDS))  # a dictionary in the order in which words came
    np.testing.assert_array_equal(numbers(pa.array(shuffled).dictionary_encode()), LABEL[::-1])


def test_names_of_classes_decide() -> None:
    order = tuple(reversed(CLASSES))
    np.testing.assert_array_equal(numbers(WORDS, order), 5 - LABEL)
    assert "alphabetical" in labels_of(as_array(WORDS), 6, None).notes[0]
    with pytest.raises(UserError, match="unknown class 'yew'"):
        numbers([*WORDS, "yew"], order)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            LABEL + 1,
            "row 5 has the label 6. Labels are 0 to 5. Hint: They run from 1 to 6, they start at 1: subtract 1",
        ),
        (LABEL - 1, "row 0 has the label -1"),
        (LABEL + 0.5, "row 0 has the label 0.5. Labels are whole numbers"),
        (WORDS[:2] * 30, "the labels are 2 different words"),
        (np.zeros((60, 3)), r"label has shape \(60, 3\)"),
        (np.full(60, np.nan), "row 0 has the label nan"),
    ],
)
def test_what_is_no_label_is_named(given: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        numbers(given)


def test_words_for_subsets() -> None:
    given = np.array(["training", "VAL", " valid", "validation", "dev", "eval", "test"])
    found = subsets(given, "")
    assert found.tolist() == ["train", "validation", "validation", "validation", "validation", "test", "test"]
    with pytest.raises(UserError, match="subset has the value 'fold1'"):
        subsets(np.array(["train", "fold1"]), "x")
