"""Averages per class: cases by hand, scikit-learn, a loop over γ, and what a run's metrics are made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, f1_score, recall_score

from finecal.errors import UserError
from finecal.metrics import per_class
from finecal.metrics.classification import group_maxima, seen_unseen_curve
from finecal.metrics.scores import AnyGamma, score

IN_S = np.array([True, False, True, False, True, False])


def unequal() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels, S: class 1 of U is always right and has nine samples, class 2 has one, which is never right."""
    labels = np.array([0] * 4 + [1] * 9 + [2])
    rows = {0: [3.0, 0.0, 1.0], 1: [0.0, 2.0, 1.0], 2: [0.0, 2.0, 1.0]}
    return np.array([rows[label] for label in labels]), labels, np.array([True, False, False])


def random_problem(seed: int, n: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits (N, 6) with many equal ones, and labels in which some classes are rare or missing."""
    random = np.random.default_rng(seed)
    labels = random.choice(6, n, p=np.array([32, 16, 8, 4, 2, 1]) / 63)
    return random.integers(-3 * steps, 3 * steps, (n, 6)) / steps, labels


def test_both_averages_of_unequal_classes() -> None:
    values, curve = score(*unequal())
    assert values["acc_u_y"][:2] == (0.9, 10)
    assert values["macro_acc_u_y"][:2] == (0.5, 10)
    assert values["acc_y_y"][:2] == (13 / 14, 14)
    assert values["macro_acc_y_y"][:2] == (pytest.approx(2 / 3, abs=1e-12), 14)
    assert values["macro_acc_s_y"][:2] == values["macro_acc_s_s"][:2] == (1.0, 4)
    assert values["macro_acc_u_u"][:2] == (0.5, 10)
    assert values["macro_harmonic_mean"][:2] == (pytest.approx(2 / 3, abs=1e-12), 14)
    # F1 of 0: 1; of 1: 2·9 / (9 + 10); of 2: 0
    assert values["macro_f1"][:2] == (pytest.approx((1 + 18 / 19) / 3, abs=1e-12), 14)
    # γ between −2 and 2 has both groups right as far as any γ has: the curve is a rectangle.
    assert values["ausuc"][:2] == (0.9, 14)
    assert values["macro_ausuc"][:2] == (0.5, 14)
    assert curve.ausuc == 0.9


def test_curve_by_hand() -> None:
    """S = {0}, U = {1, 2}; d = 4, 1 of class 0, 3, 0 of class 1, 2 of class 2."""
    d, labels = np.array([4.0, 1.0, 3.0, 0.0, 2.0]), np.array([0, 0, 1, 1, 2])
    logits = np.full((5, 3), -9.0)
    logits[:, 0] = d
    logits[np.arange(5), np.where(labels == 0, 1, labels)] = 0
    curve = per_class.per_class_curve(logits, labels, [0])
    assert curve.curve.threshold.tolist() == [0, 1, 2, 3, 4]
    assert curve.acc_s_y.tolist() == [1, 1, 0.5, 0.5, 0.5, 0]
    assert curve.acc_u_y.tolist() == [0, 0.25, 0.25, 0.75, 1, 1]
    thirds = np.array([1, 1.5, 1, 2, 2.5, 2]) / 3
    np.testing.assert_allclose(curve.acc_y_y, thirds, rtol=0, atol=1e-12)
    assert (curve.classes_s, curve.classes_u) == (1, 2)
    assert curve.ausuc == 0.5 * (0.25 + 0.25) / 2 + 0.5 * (1 + 1) / 2
    assert curve.at(2.0)[:3] == (2.0, 0.5, 0.25)  # a tie goes to S
    assert curve.at(np.inf)[1:3] == (0, 1)
    assert curve.at(-np.inf)[1:3] == (1, 0)
    with pytest.raises(UserError, match="γ is NaN"):
        curve.at(np.nan)


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 3))
@settings(deadline=None)
def test_every_vertex_is_what_predictions_at_its_gamma_give(seed: int, n: int, steps: int) -> None:
    logits, labels = random_problem(seed, n, steps)
    maxima = group_maxima(logits, IN_S)
    curve = per_class.curve_of(maxima, labels)
    reference = seen_unseen_curve(logits, labels, IN_S)
    np.testing.assert_array_equal(curve.curve.gamma, reference.gamma)
    for vertex, gamma in enumerate(reference.gamma):
        if gamma == 0:  # there equal logits may go to U
            continue
        right = maxima.predictions(gamma) == labels
        for found, group in ((curve.acc_s_y, IN_S), (curve.acc_u_y, ~IN_S), (curve.acc_y_y, IN_S | True)):
            recalls = [right[labels == c].mean() for c in np.flatnonzero(group) if (labels == c).any()]
            np.testing.assert_allclose(found[vertex], np.mean(recalls) if recalls else np.nan, rtol=0, atol=1e-11)
    if curve.classes_s and curve.classes_u:
        assert curve.ausuc == pytest.approx(float(auc(curve.acc_s_y, curve.acc_u_y)), abs=1e-11)
    else:
        assert np.isnan(curve.ausuc)


@given(st.integers(0, 10_000), st.integers(1, 60))
@settings(deadline=None)
def test_recall_and_f1_are_those_of_wilds(seed: int, n: int) -> None:
    """WILDS calls scikit-learn with the classes that occur in the labels."""
    logits, labels = random_problem(seed, n, 2)
    predicted = group_maxima(logits, IN_S).predictions()
    there = {"labels": np.unique(labels), "average": "macro", "zero_division": 0}
    found = per_class.accuracies(group_maxima(logits, IN_S), labels)["acc_y_y"]
    assert found == (pytest.approx(recall_score(labels, predicted, **there), abs=1e-11), n)
    expected = f1_score(labels, predicted, **there)
    assert per_class.macro_f1(predicted, labels, 6) == pytest.approx(expected, abs=1e-11)


def test_f1_is_not_over_classes_that_are_only_predicted() -> None:
    labels, predicted = np.array([0, 0]), np.array([0, 1])
    assert per_class.macro_f1(predicted, labels, 3) == pytest.approx(2 / 3, abs=1e-12)
    assert f1_score(labels, predicted, average="macro") == pytest.approx(1 / 3)


def test_with_equally_many_samples_of_each_class_both_averages_agree() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(120) % 6
    logits = random.normal(size=(120, 6)) + 2 * np.eye(6)[labels]
    values, _ = score(logits, labels, IN_S)
    for name in ("acc_y_y", "acc_s_y", "acc_u_y", "acc_s_s", "acc_u_u", "harmonic_mean", "ausuc"):
        assert values[f"macro_{name}"][:2] == (pytest.approx(values[name][0], abs=1e-11), values[name][1]), name


def test_both_ways_to_score_give_the_same_metrics() -> None:
    logits, labels = random_problem(5, 200, 2)
    expected, _ = score(logits + np.where(IN_S, 0, 1.0), labels, IN_S)
    found = AnyGamma.of(logits, labels, IN_S).score(1.0)
    names = [name for name in expected if name.startswith("macro_")]
    assert len(names) == 8
    assert {name: found[name][:2] for name in names} == {name: expected[name][:2] for name in names}


def test_without_samples_of_a_group() -> None:
    logits, labels = random_problem(1, 100, 2)
    only_s = IN_S[labels]
    values, _ = score(logits[only_s], labels[only_s], IN_S)
    known = {name for name, (value, n, *_) in values.items() if name.startswith("macro_") and n and not np.isnan(value)}
    assert known == {"macro_acc_s_y", "macro_acc_s_s"}
    values, _ = score(logits[~only_s], labels[~only_s], IN_S)
    assert np.isnan(values["macro_acc_s_y"][0])
    assert np.isnan(values["macro_ausuc"][0])
    assert values["macro_acc_u_u"][0] > 0
    nothing = per_class.per_class_curve(logits[:0], labels[:0], IN_S)
    assert np.isnan(nothing.acc_y_y).all()
    assert np.isnan(per_class.macro_f1(labels[:0], labels[:0], 6))
