"""Class-distance-normalised variance: cases by hand, what it does not depend on, and where it is not defined."""

from __future__ import annotations

import math

import numpy as np
import pytest

from finecal.errors import UserError
from finecal.metrics.class_distance import class_distance_normalised_variance

S = np.array([True, False, False, False])


def cdnv(features: np.ndarray, labels: list[int]) -> tuple[float, int]:
    return class_distance_normalised_variance(features, np.array(labels), S)["cdnv_u_u"]


def test_three_classes_by_hand() -> None:
    """Means (0, 0), (3, 4), (0, 8); variances 1, 4, 0; squared distances 25, 64, 25."""
    x = np.array([[1, 0], [-1, 0], [3, 2], [3, 6], [0, 8], [0, 8]], float)
    value, n = cdnv(x, [1, 1, 2, 2, 3, 3])
    assert value == pytest.approx((5 / 50 + 1 / 128 + 4 / 50) / 3)
    assert n == 6


def test_samples_of_s_and_single_samples_do_not_count() -> None:
    x = np.array([[0.0], [2.0], [10.0], [14.0], [99.0], [50.0]])
    assert cdnv(x, [1, 1, 2, 2, 3, 0]) == (pytest.approx(5 / 242), 4)


def test_scale_place_and_order_do_not_matter() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 5)), [1 + i % 3 for i in range(40)]
    value, _ = cdnv(x, y)
    order = random.permutation(40)
    assert cdnv(7 * x - 3, y)[0] == pytest.approx(value)
    assert cdnv(x[order], [y[i] for i in order])[0] == pytest.approx(value)
    assert cdnv(x.astype(np.float32), y)[0] == pytest.approx(value, rel=1e-6)


def test_tighter_classes_make_it_smaller_where_ncm_is_perfect_already() -> None:
    x = np.array([[-1.0], [1.0], [99.0], [101.0]])
    means = np.array([[0.0], [0.0], [100.0], [100.0]])
    values = [cdnv(means + factor * (x - means), [1, 1, 2, 2])[0] for factor in (1, 0.5, 0.1)]
    assert values == pytest.approx([1e-4, 0.25e-4, 1e-6])


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (np.zeros((0, 2)), []),
        (np.ones((3, 2)), [1, 1, 2]),  # one class with two samples
        (np.ones((3, 2)), [0, 0, 0]),
        (np.ones((4, 2)), [1, 1, 2, 2]),  # the same mean
    ],
)
def test_where_it_is_not_defined(features: np.ndarray, labels: list[int]) -> None:
    value, n = class_distance_normalised_variance(features, np.array(labels, int), S)["cdnv_u_u"]
    assert math.isnan(value)
    assert n == 0


def test_features_that_are_not_finite_are_refused() -> None:
    with pytest.raises(UserError, match="features of row 1 are not finite"):
        cdnv(np.array([[0.0], [np.nan]]), [1, 1])
