"""The subset of each row: the words that people use for training, validation and test rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError

WORDS = {
    "train": ("train", "training", "trn", "tr", "fit"),
    "validation": ("validation", "valid", "val", "dev", "development", "held_out", "heldout"),
    "test": ("test", "testing", "tst", "te", "eval", "evaluation"),
}
_MEANING = {word: subset for subset, words in WORDS.items() for word in words}


def subsets(values: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    """Return (N,) of the words train, validation and test.

    Raises
    ------
    UserError
        For any other word; it is named.
    """
    words, positions = np.unique(values.astype(str), return_inverse=True)
    meant = [_MEANING.get(word.strip().lower().replace("-", "_")) for word in words]
    wrong = [str(word) for word, meaning in zip(words, meant, strict=True) if meaning is None]
    if wrong:
        raise UserError(
            f"subset has the value {wrong[0]!r}", where=where,
            why="Allowed are train, validation and test, and words such as training, val, valid, dev and eval",
        )  # fmt: skip
    found: npt.NDArray[Any] = np.array(meant, dtype="<U10")[positions.reshape(-1)]
    return found
