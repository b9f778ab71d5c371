"""Contributions of test samples are derivatives: what a metric moves by if a sample gets a little more weight."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from page_cases import IN_S, logits

from finecal.metrics.classification import (
    Softmax,
    calibration_error,
    group_maxima,
    harmonic_mean,
    softmax,
)
from finecal.metrics.influences import (
    GROUPS,
    calibration_error_bias,
    group_sums,
    of_accuracies,
    of_ausuc,
    of_calibration_error,
    of_harmonic_mean,
    of_mean,
)
from finecal.metrics.scores import score

STEP = 1e-6


def derivatives(metric: Callable[[np.ndarray], float], n: int) -> np.ndarray:
    """(n,) derivatives of a metric of (n,) weights at equal weights, by central differences."""
    steps = STEP * np.eye(n)
    return np.array([(metric(1 + step) - metric(1 - step)) / (2 * STEP) for step in steps])


def weighted_ausuc(tuned: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """By the definition: over all pairs of a sample of S and one of U."""
    d = tuned[:, IN_S].max(1) - tuned[:, ~IN_S].max(1)
    alone = np.where(IN_S[labels][:, None], np.where(IN_S, tuned, -np.inf), np.where(IN_S, -np.inf, tuned))
    right, of_s = alone.argmax(1) == labels, IN_S[labels]
    below = (d[~of_s] < d[of_s][:, None]) + 0.5 * (d[~of_s] == d[of_s][:, None])
    s, u = weights[of_s], weights[~of_s]
    return float((s * right[of_s]) @ below @ (u * right[~of_s]) / (s.sum() * u.sum()))


def test_ausuc_against_all_pairs_with_ties() -> None:
    labels, _, tuned = logits(n=60)
    tuned = (2 * tuned).round() / 2  # ties, without rounding errors in differences
    maxima = group_maxima(tuned, IN_S)
    assert weighted_ausuc(tuned, labels, np.ones(60)) == pytest.approx(maxima.curve(labels).ausuc)
    expected = derivatives(lambda w: weighted_ausuc(tuned, labels, w), 60)
    assert of_ausuc(maxima, labels) == pytest.approx(expected, abs=1e-8)


def test_accuracies_harmonic_mean_and_losses() -> None:
    labels, _, tuned = logits(n=60)
    right, of_s = tuned.argmax(1) == labels, IN_S[labels]

    def accuracy(weights: np.ndarray, chosen: np.ndarray) -> float:
        return float((weights * right)[chosen].sum() / weights[chosen].sum())

    found = of_accuracies(group_maxima(tuned, IN_S), labels)
    for name, chosen in {"acc_y_y": np.ones(60, bool), "acc_s_y": of_s, "acc_u_y": ~of_s}.items():
        expected = derivatives(lambda w, chosen=chosen: accuracy(w, chosen), 60)
        assert found[name] == pytest.approx(expected, abs=1e-8)
    s, u = accuracy(np.ones(60), of_s), accuracy(np.ones(60), ~of_s)
    both = derivatives(lambda w: harmonic_mean(accuracy(w, of_s), accuracy(w, ~of_s)), 60)
    assert of_harmonic_mean(s, u, found["acc_s_y"], found["acc_u_y"]) == pytest.approx(both, abs=1e-8)
    probabilities = softmax(tuned, labels)
    losses = derivatives(lambda w: float(w @ probabilities.losses / w.sum()), 60)
    assert of_mean(probabilities.losses) == pytest.approx(losses, abs=1e-8)


def test_calibration_error() -> None:
    labels, _, tuned = logits(n=60)
    found = softmax(tuned, labels)
    places = np.ceil(found.confidence * 15).astype(int)

    def error(weights: np.ndarray) -> float:
        gaps = weights * (found.right - found.confidence)
        return float(sum(abs(gaps[places == b].sum()) for b in range(16)) / weights.sum())

    expected = derivatives(error, 60)
    assert of_calibration_error(found.confidence, found.right) == pytest.approx(expected, abs=1e-8)


def test_groups_keep_the_sum_and_estimate_the_same_variance() -> None:
    contributions = np.random.default_rng(0).standard_normal(20_000) / 20_000
    sums = group_sums(contributions)
    assert sums.shape == (GROUPS,)
    assert sums.sum() == pytest.approx(contributions.sum(), abs=1e-6)
    assert (sums**2).sum() == pytest.approx((contributions**2).sum(), rel=0.25)  # 250 groups: a standard error of 9 %
    few = group_sums(contributions[:40])
    assert sorted(few) == pytest.approx(sorted(contributions[:40]), rel=1e-6)  # one sample each


def test_every_metric_has_influences_and_a_lone_class_of_u_does_not_break_them() -> None:
    labels, _, tuned = logits(n=60)
    for chosen in (np.ones(60, bool), IN_S[labels], ~IN_S[labels]):
        values, _ = score(tuned[chosen], labels[chosen], IN_S)
        assert all(np.isfinite(measured.influences).all() for measured in values.values())
        assert all(abs(measured.influences.sum()) < 1e-4 for measured in values.values())


@pytest.mark.parametrize("n", [100, 500, 2000])
def test_what_chance_adds_to_the_calibration_error_is_known(n: int) -> None:
    """A model as sure as it should be: its calibration error is zero, that of n samples is not."""
    rng, errors, biases = np.random.default_rng(0), [], []
    for _ in range(200):
        confidence = rng.uniform(0.3, 1.0, n)
        found = Softmax(np.zeros(n), confidence, rng.random(n) < confidence)
        errors.append(calibration_error(found))
        biases.append(calibration_error_bias(found))
    assert 0.6 * np.mean(errors) < np.mean(biases) < 1.1 * np.mean(errors)
