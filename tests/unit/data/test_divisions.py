"""A division takes its part of every class and leaves none without training or test samples."""

from __future__ import annotations

import numpy as np
import pytest

from finecal.data.divisions import draw_of_each, hold_out_validation, stratified_test
from finecal.data.packed import PackedImages


@pytest.mark.parametrize(
    ("n", "fraction", "expected"),
    [(10, 0.3, 3), (1, 0.3, 1), (3, 0.01, 1), (4, 0.5, 2), (2, 0.9, 1), (3, 0.99, 2), (2, 0.01, 1)],
)
def test_stratified_test_takes_the_fraction_of_each_class(n: int, fraction: float, expected: int) -> None:
    labels = np.tile([0, 3], n)
    chosen = stratified_test(labels, fraction, np.random.default_rng(0))
    assert np.bincount(labels[chosen], minlength=4).tolist() == [expected, 0, 0, expected]


def test_the_others_are_drawn_as_if_no_class_had_been_emptied() -> None:
    """What was drawn before the rule is drawn still, but for one sample of the class that would be empty."""
    labels = np.repeat([0, 1, 2], [9, 2, 14])
    before, now = (draw(labels, 0.9, np.random.default_rng(3)) for draw in (draw_of_each, stratified_test))
    assert before[labels == 1].all()
    assert np.flatnonzero(before != now).tolist() in ([9], [10])


def samples(*counts: int) -> PackedImages:
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    names = tuple("abcdef"[: len(counts)])
    return PackedImages(np.zeros((len(labels), 8, 8, 1), np.uint8), labels, np.zeros(len(labels), bool), names)


def test_validation_takes_no_class_s_last_training_sample(capfd: pytest.CaptureFixture[str]) -> None:
    held = hold_out_validation(samples(1, 2, 10), 0.5, np.random.default_rng(0))
    assert held.validation is not None
    assert np.bincount(held.labels[held.validation], minlength=3).tolist() == [0, 1, 5]
    assert np.bincount(held.labels[held.train], minlength=3).tolist() == [1, 1, 5]
    assert "no validation sample of 'a': a single training sample" in capfd.readouterr().err
