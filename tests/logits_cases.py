"""Logits of a fine-tuned model with a known damage, and what people make of them."""

from __future__ import annotations

from typing import Any

import numpy as np

CLASSES = ("ash", "birch", "cedar", "elm", "fir", "oak")
S = (0, 1, 2)


def arrays(n: int = 240, seed: int = 0) -> dict[str, Any]:
    """Six classes, the logits of S too large by 4; half of the rows for training."""
    random = np.random.default_rng(seed)
    label = np.arange(n) % 6
    logits = 3 * np.eye(6)[label] + random.normal(size=(n, 6)) + np.where(np.arange(6) < 3, 4.0, 0.0)
    subset = np.where(np.arange(n) // 6 % 2 == 0, "train", "test")
    return {"label": label.astype(np.int64), "logits": logits.astype(np.float32), "subset": subset}


def check_brought(found: Any, expected: dict[str, Any], *, subset: bool = False) -> None:
    """Check that what was read are these arrays, with the subset or without."""
    np.testing.assert_allclose(found.logits, expected["logits"], rtol=1e-6)
    np.testing.assert_array_equal(found.labels, expected["label"])
    if subset:
        np.testing.assert_array_equal(found.subset, expected["subset"])


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    found: np.ndarray = exponents / exponents.sum(axis=1, keepdims=True)
    return found
