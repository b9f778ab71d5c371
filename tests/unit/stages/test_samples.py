"""The table of test samples: what any γ makes of them, without the logits."""

from __future__ import annotations

import numpy as np
import pytest

from finecal.calibration.inputs import Predictions
from finecal.metrics.classification import GroupMaxima, accuracies
from finecal.stages.evaluate import sample_table

IN_S = np.array([True, True, False, False])
SUBSET = np.array(["train", "test", "test", "test", "validation", "test"])


def predictions(seed: int, samples: int = 6) -> Predictions:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(samples, 4)).astype(np.float32)
    return Predictions(np.arange(samples, dtype=np.int32), np.array([0, 1, 2, 3, 0, 2], np.int32), SUBSET, logits, None)


def test_a_case_by_hand() -> None:
    tuned = predictions(0)
    tuned.logits[1:4] = [[4, 1, 0, 3], [0, 2, 5, 1], [1, 3, 2, 3]]
    before = predictions(1)
    before.logits[1:4] = [[0, 9, 0, 0], [0, 0, 0, 9], [9, 0, 0, 0]]
    table = sample_table(tuned, before, IN_S).slice(0, 3).to_pydict()
    assert table == {
        "sample": [1, 2, 3], "label": [1, 2, 3], "before": [1, 3, 0],
        "best_s": [0, 1, 1], "best_u": [3, 2, 3], "margin": [1.0, -3.0, 0.0],
    }  # fmt: skip


@pytest.mark.parametrize("gamma", [-np.inf, -0.3, 0.2, 1.5, np.inf])
def test_any_gamma_gives_the_accuracies_of_the_logits(gamma: float) -> None:
    tuned = predictions(2)
    table = sample_table(tuned, None, IN_S).to_pandas()
    maxima = GroupMaxima(
        table["margin"].to_numpy(), table["best_s"].to_numpy(),
        np.zeros(len(table)), table["best_u"].to_numpy(), IN_S,
    )  # fmt: skip
    test = tuned.test
    assert maxima.accuracies(table["label"], gamma) == accuracies(tuned.logits[test], tuned.labels[test], IN_S, gamma)


def test_without_a_pretrained_model_nothing_came_before() -> None:
    assert sample_table(predictions(3), None, IN_S)["before"].null_count == 4
