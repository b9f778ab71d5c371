"""Logit anatomy and the history's numbers, against hand calculation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from finecal.metrics.logit_anatomy import logit_anatomy, observe_run

# S = {0, 1}, U = {2, 3, 4}
MASK = np.array([True, True, False, False, False])
Z = np.array(
    [
        [5.0, 1.0, 2.0, -1.0, 0.0],  # label 0: right
        [4.0, 3.0, 9.0, 0.0, 1.0],  # label 1: taken for 2
        [7.0, 6.0, 5.0, 4.0, 3.0],  # label 2: taken for 0
        [0.0, -2.0, 8.0, 9.0, 1.0],  # label 3: right
        [1.0, 2.0, -3.0, 4.0, -5.0],  # label 4: taken for 3
    ]
)
Y = np.array([0, 1, 2, 3, 4])


def test_means_of_the_largest_logits() -> None:
    assert logit_anatomy(Z, Y, MASK) == {
        "fine_tuning_true": (5 + 3) / 2,
        "fine_tuning_largest_fine_tuning": (1 + 4) / 2,  # of the other class of S
        "fine_tuning_largest_absent": (2 + 9) / 2,
        "absent_true": pytest.approx((5 + 9 - 5) / 3),
        "absent_largest_absent": pytest.approx((4 + 8 + 4) / 3),
        "absent_largest_fine_tuning": pytest.approx((7 + 0 + 2) / 3),
    }


def test_the_logits_are_not_changed() -> None:
    z = Z.copy()
    logit_anatomy(z, Y, MASK)
    assert np.array_equal(z, Z)


def test_a_group_of_one_class_has_no_other_class() -> None:
    found = logit_anatomy(
        np.array([[3.0, 1.0, 2.0], [1.0, 4.0, 5.0]]), np.array([0, 2]), np.array([True, False, False])
    )
    assert math.isnan(found["fine_tuning_largest_fine_tuning"])
    assert found["fine_tuning_largest_absent"] == 2
    assert found["absent_largest_absent"] == 4
    assert found["absent_largest_fine_tuning"] == 1


def test_samples_of_one_group_only() -> None:
    found = logit_anatomy(Z[:2], Y[:2], MASK)
    assert found["fine_tuning_true"] == 4
    assert all(math.isnan(found[name]) for name in found if name.startswith("absent"))


def test_float32_is_summed_as_float64() -> None:
    """A float32 sum of these would lose the small logit."""
    z = np.array([[1e8, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert logit_anatomy(z, np.array([0, 0]), np.array([True, False]))["fine_tuning_true"] == (1e8 + 1) / 2


def test_a_row_of_the_history() -> None:
    head = np.array([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0], [6.0, 8.0], [0.0, 2.0]])
    row = observe_run(Z, Y, MASK, head)
    assert row["weight_norm_fine_tuning"] == (5 + 1) / 2
    assert row["weight_norm_absent"] == (0 + 10 + 2) / 3
    assert row["acc_s_y"] == 1 / 2
    assert row["acc_u_y"] == pytest.approx(1 / 3)
    assert row.items() >= logit_anatomy(Z, Y, MASK).items()
    assert all(type(value) is float for value in row.values())  # the state of a training holds plain numbers only


def test_without_absent_classes() -> None:
    row = observe_run(Z, Y, np.ones(5, bool), np.ones((5, 2)))
    assert row["acc_s_y"] == 2 / 5
    assert math.isnan(row["acc_u_y"])
    assert math.isnan(row["weight_norm_absent"])
    assert math.isnan(row["fine_tuning_largest_absent"])
    assert row["fine_tuning_true"] == (5 + 3 + 5 + 9 - 5) / 5
