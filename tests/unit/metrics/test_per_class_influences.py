"""Contributions to averages per class are derivatives, and their squares the variance over samples of each class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from finecal.metrics.classification import GroupMaxima, group_maxima, harmonic_mean
from finecal.metrics.per_class import macro_metrics
from finecal.metrics.per_class_influences import of_per_class

IN_S = np.array([True, False, True, False, True, False])
COUNTS = (14, 9, 6, 5, 3, 0)  # samples of each class; none of the last, which is predicted all the same
STEP = 1e-6


def problem() -> tuple[np.ndarray, np.ndarray]:
    """Labels, and logits (37, 6) in steps of a half, so that there are ties."""
    labels = np.repeat(np.arange(6), COUNTS)
    random = np.random.default_rng(8)
    return labels, ((random.normal(size=(len(labels), 6)) + 1.5 * np.eye(6)[labels]) * 2).round() / 2


def metrics_of_weights(maxima: GroupMaxima, labels: np.ndarray) -> Callable[[np.ndarray], dict[str, float]]:
    """Every metric by its definition, as a function of weights, which add up to the number of samples in each class."""
    of_s, predicted = IN_S[labels], maxima.predictions()
    alone = np.where(of_s, maxima.class_s, maxima.class_u) == labels
    d, there = maxima.difference, np.flatnonzero(COUNTS)
    below = (d < d[:, None]) + 0.5 * (d == d[:, None])

    def values(raw: np.ndarray) -> dict[str, float]:
        sums = np.bincount(labels, raw, minlength=6)
        weights = raw / sums[labels]  # with sum 1 in each class

        def recall(right: np.ndarray, classes: np.ndarray) -> float:
            return float(np.mean([(weights * right)[labels == c].sum() for c in classes if c in there]))

        s, u = np.flatnonzero(IN_S), np.flatnonzero(~IN_S)
        found = {
            "acc_y_y": recall(predicted == labels, there),
            "acc_s_y": recall(predicted == labels, s),
            "acc_u_y": recall(predicted == labels, u),
            "acc_s_s": recall(alone, s),
            "acc_u_u": recall(alone, u),
        }
        found["harmonic_mean"] = harmonic_mean(found["acc_s_y"], found["acc_u_y"])
        share = weights * alone / np.where(of_s, np.isin(s, there).sum(), np.isin(u, there).sum())
        found["ausuc"] = float((share * of_s) @ below @ (share * ~of_s))
        samples = weights * np.array(COUNTS)[labels]
        f1 = [
            2 * samples[(labels == c) & (predicted == c)].sum() / (COUNTS[c] + samples[predicted == c].sum())
            for c in there
        ]
        found["f1"] = float(np.mean(f1))
        return found

    return values


def test_contributions_are_derivatives() -> None:
    labels, logits = problem()
    maxima = group_maxima(logits, IN_S)
    assert (maxima.predictions() == 5).any()
    values = metrics_of_weights(maxima, labels)
    ones = np.ones(len(labels))
    metrics = macro_metrics(maxima, labels, maxima.curve(labels))
    found = of_per_class(maxima, labels)
    assert found.keys() == metrics.keys()
    for name, value in values(ones).items():
        assert metrics[f"macro_{name}"][0] == pytest.approx(value, abs=1e-11), name
    steps = STEP * np.eye(len(labels))
    differences = [(values(ones + step), values(ones - step)) for step in steps]
    for name in values(ones):
        expected = [(more[name] - less[name]) / (2 * STEP) for more, less in differences]
        assert found[f"macro_{name}"] == pytest.approx(expected, abs=1e-8), name


def test_squares_are_the_variance_of_samples_drawn_anew_from_each_class() -> None:
    labels, logits = problem()
    labels, logits = np.repeat(labels, 8), np.repeat(logits, 8, axis=0)
    maxima = group_maxima(logits, IN_S)
    found = of_per_class(maxima, labels)
    random = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(400):
        rows = np.concatenate(
            [random.choice(np.flatnonzero(labels == c), n) for c in range(6) if (n := (labels == c).sum())]
        )
        part = group_maxima(logits[rows], IN_S)
        for name, (value, _) in macro_metrics(part, labels[rows], part.curve(labels[rows])).items():
            drawn[name].append(value)
    for name, contributions in found.items():
        assert np.sqrt((contributions**2).sum()) == pytest.approx(np.std(drawn[name]), rel=0.15), name


def test_without_samples_of_a_group_or_any() -> None:
    labels, logits = problem()
    for kept in (IN_S[labels], ~IN_S[labels], np.zeros(len(labels), bool)):
        with np.errstate(all="raise"):
            found = of_per_class(group_maxima(logits[kept], IN_S), labels[kept])
        assert all(len(one) == kept.sum() for one in found.values())
        assert not found["macro_ausuc"].any()
        assert not found["macro_harmonic_mean"].any()
