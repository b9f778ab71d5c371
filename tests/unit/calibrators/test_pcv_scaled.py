"""Calibrators that scale PCV's γ or put another rule in its place: small cases by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from calibrator_cases import fit, reads

from finecal.calibration.contract import Labelled, PseudoFold

# S = {0, 1, 2}, U = {3, 4}: gap after (13/3 + 1 + 14/3 − 2) / 2 = 4, before (2 + 1 − 3) / 2 = 0.
TRAIN = Labelled(
    np.array([[9.0, 3.0, 1.0, 0.0, -2.0], [2.0, 8.0, 4.0, 1.0, 3.0]]),
    np.array([0, 1]),
    more={"pretrained": np.array([[3.0, 3.0, 3.0, 1.0, 1.0], [0.0, 0.0, 3.0, 2.0, 4.0]])},
)


def fold(after: list[list[float]], before: list[list[float]], labels: list[int], s_prime: list[bool]) -> PseudoFold:
    return PseudoFold(np.array(after), np.array(labels), np.array(s_prime), more={"pretrained": np.array(before)})


# Sample 0 is of S′ = {0}, sample 1 of U′. d = 4 and 2: any γ′ between them is right for both, 3 is in the middle.
# Gap of sample 0: after 5 − (1 − 1) / 2 = 5, before 2 − 1 = 1.
FIRST = fold([[5.0, 1.0, -1.0], [3.0, 1.0, 0.0]], [[2.0, 1.0, 1.0], [9.0, 9.0, 9.0]], [0, 1], [True, False, False])
# S′ = {0, 1}. d = 8 and 0, γ′ = 4. Gap of sample 0: after (8 + 2) / 2 − 0 = 5, before (1 + 1) / 2 − 2 = −1.
SECOND = fold([[8.0, 2.0, 0.0], [3.0, 1.0, 3.0]], [[1.0, 1.0, 2.0], [0.0, 0.0, 5.0]], [0, 2], [True, True, False])


def data(*folds: PseudoFold, train: Labelled = TRAIN) -> dict[str, Any]:
    return {"train_fine_tuning": train, "pseudo_splits": list(folds)}


def test_pcv_scaled_by_hand() -> None:
    """Growth 4 in the run; 5 − 1 = 4 and 5 + 1 = 6 in the folds, whose γ′ are 3 and 4: 4 · 7 / 10."""
    assert fit("pcv", data(FIRST, SECOND)) == {"gamma": 3.5}
    assert fit("pcv_scaled", data(FIRST, SECOND)) == {"gamma": pytest.approx(4 * 7 / 10)}
    assert fit("pcv_scaled", data(FIRST)) == {"gamma": pytest.approx(4 * 3 / 4)}


def test_pcv_scaled_gap_by_hand() -> None:
    """Gap 4 in the run, 5 and 5 in the folds."""
    assert fit("pcv_scaled_gap", data(FIRST, SECOND)) == {"gamma": pytest.approx(4 * 7 / 10)}
    further = replace(SECOND, logits=SECOND.logits + np.array([3.0, 3.0, 0.0]))  # gap 8, γ′ = 7
    assert fit("pcv_scaled_gap", data(FIRST, further)) == {"gamma": pytest.approx(4 * 10 / 13)}


def test_midpoint_by_hand() -> None:
    assert fit("midpoint", data(FIRST, SECOND)) == {"gamma": pytest.approx((3.5 + 4) / 2)}


def test_samples_of_u_prime_do_not_count_for_the_growth() -> None:
    changed = replace(FIRST, more={"pretrained": FIRST["pretrained"] * np.array([[1.0], [-50.0]])})
    assert fit("pcv_scaled", data(changed, SECOND)) == fit("pcv_scaled", data(FIRST, SECOND))


def test_a_pseudo_split_that_is_the_run_in_small_gives_its_own_gamma() -> None:
    """Where the run's gap grew as the fold's did, γ is γ′; where it grew twice as much, 2 γ′."""
    for factor in (1.0, 2.0):
        z = np.array([[5.0, 0.0, 0.0, 1.0, -1.0]])  # gap 5/3 − 0; before 0
        train = Labelled(z * factor * 3 / 5 * 4, np.array([0]), more={"pretrained": np.zeros((1, 5))})
        assert fit("pcv_scaled", data(FIRST, train=train)) == {"gamma": pytest.approx(3 * factor)}


@pytest.mark.parametrize("before", [5.0, 9.0])
def test_without_growth_in_the_pseudo_splits_it_is_the_midpoint(before: float) -> None:
    """Growth′ 5 − 5 = 0, or 5 − 9."""
    still = replace(FIRST, more={"pretrained": np.array([[before, 0.0, 0.0], [0.0, 0.0, 0.0]])})
    assert fit("pcv_scaled", data(still)) == {"gamma": pytest.approx((3 + 4) / 2)} == fit("midpoint", data(still))


def test_without_a_gap_in_the_pseudo_splits_it_is_pcv() -> None:
    reverse = replace(FIRST, logits=FIRST.logits - np.array([8.0, 0.0, 0.0]))  # gap −3, γ′ = −5
    assert fit("pcv_scaled_gap", data(reverse)) == {"gamma": -5.0} == fit("pcv", data(reverse))


@pytest.mark.parametrize(("before", "trusted"), [(3.9, True), (4.1, False)])
def test_growth_that_explains_less_than_a_third_is_not_scaled_by(before: float, trusted: bool) -> None:
    """γ′ = 3 and growth′ 5 − 3.9 = 1.1, or 5 − 4.1 = 0.9."""
    little = replace(FIRST, more={"pretrained": np.array([[before, 0.0, 0.0], [0.0, 0.0, 0.0]])})
    wanted = 4 * 3 / 1.1 if trusted else (3 + 4) / 2
    assert fit("pcv_scaled", data(little)) == {"gamma": pytest.approx(wanted)}


def test_a_gap_that_explains_less_than_a_third_is_not_scaled_by() -> None:
    """γ′ = 4, gap′ (8 − 6) / 2 − 0 = 1."""
    little = replace(SECOND, logits=np.array([[8.0, -6.0, 0.0], [3.0, 1.0, 3.0]]))
    assert fit("pcv_scaled_gap", data(little)) == {"gamma": 4.0} == fit("pcv", data(little))


def test_the_one_that_does_without_the_pretrained_model_reads_what_pcv_reads() -> None:
    assert reads("pcv_scaled_gap") == reads("pcv")
    assert reads("pcv_scaled") == reads("midpoint") == reads("pcv") | reads("source_gap")
    without = [replace(one, more={}) for one in (FIRST, SECOND)]
    assert fit("pcv_scaled_gap", data(*without)) == fit("pcv_scaled_gap", data(FIRST, SECOND))


# ------------------------------------------------------------------ over all classes

# S = {0, 1}, U = {2}, S′ = {0}. Over all classes d is 4 − 1 and 2 − 1.5; over S alone 4 − 0 and 2 − 1.5.
WIDE = np.array([[4.0, 0.0, 1.0], [2.0, 1.5, -9.0]])
OVER_ALL = PseudoFold(WIDE[:, :2], np.array([0, 1]), np.array([True, False]), all_logits=WIDE)
S_OF_THREE = np.array([True, True, False])


def test_pcv_all_classes_by_hand() -> None:
    """Thresholds 0.5 and 3, and only the γ between them is right for both: their mean."""
    assert fit("pcv_all_classes", {"pseudo_splits": [OVER_ALL]}, S_OF_THREE) == {"gamma": (0.5 + 3) / 2}
    assert fit("pcv", {"pseudo_splits": [OVER_ALL]}, S_OF_THREE) == {"gamma": (0.5 + 4) / 2}
    other = replace(OVER_ALL, all_logits=WIDE + np.array([2.0, 0.0, 0.0]))
    assert fit("pcv_all_classes", {"pseudo_splits": [OVER_ALL, other]}, S_OF_THREE) == {"gamma": (1.75 + 3.75) / 2}


def test_gammas_that_lose_little_count_nearly_as_much() -> None:
    """A thousand of S′, one of U′: between d = 1 and 2 nothing is lost, between 2 and 4 a twentieth of a point."""
    d = [2.0] + [4.0] * 999
    z = np.zeros((1001, 3))
    z[:, 0] = [*d, 1.0]
    z[:, 2] = -50.0
    one = PseudoFold(z[:, :2], np.array([0] * 1000 + [1]), np.array([True, False]), all_logits=z)
    weight = 2 * np.exp(-0.05)
    wanted = (1.5 + 3 * weight) / (1 + weight)
    assert fit("pcv_all_classes", {"pseudo_splits": [one]}, S_OF_THREE) == {"gamma": pytest.approx(wanted)}


def test_with_one_threshold_it_is_the_balancing_gamma() -> None:
    z = np.array([[4.0, 0.0, 1.0], [4.0, 1.0, 1.0]])  # d = 3 and 3
    one = PseudoFold(z[:, :2], np.array([0, 1]), np.array([True, False]), all_logits=z)
    assert fit("pcv_all_classes", {"pseudo_splits": [one]}, S_OF_THREE) == {"gamma": 2.0}


def test_a_pseudo_split_without_all_logits_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="without logits of all classes"):
        fit("pcv_all_classes", {"pseudo_splits": [replace(OVER_ALL, all_logits=None)]}, S_OF_THREE)


def with_all_logits(*folds: PseudoFold) -> list[PseudoFold]:
    """Add two classes of U that never win."""
    return [replace(one, all_logits=np.column_stack([one.logits, np.full((2, 2), -50.0)])) for one in folds]


def test_pcv_combined_by_hand() -> None:
    """2.8 as `pcv_scaled` gives it; over all classes (U far below) the thresholds are the same, γ′ 3 and 4."""
    wide = with_all_logits(FIRST, SECOND)
    assert fit("pcv_all_classes", data(*wide)) == {"gamma": 3.5}
    assert fit("pcv_combined", data(*wide)) == {"gamma": pytest.approx((2.8 + 3.5) / 2)}


# ------------------------------------------------------------------ the published code's rule

# Samples of S′ = {0} with d = 1, 2, 9, 9, and two of U′ = {1} with d = 5 and 12.
MANY = np.array([[1.0, 0.0], [2.0, 0.0], [9.0, 0.0], [9.0, 0.0], [5.0, 0.0], [12.0, 0.0]])
LABELS = [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("right_before", "gamma"),
    [
        (0, 0.0),  # no condition: 4 of 6 are right below γ = 1, the smallest |γ| of the vertex −∞ … 1 is 0
        (1, 7.0),  # one of U′ must be right: γ > 5; the two 9 stay right below 9
        (2, 13.0),  # both: γ > 12, and nothing of S′ is right; any γ beyond
    ],
)
def test_the_published_rule_by_hand(right_before: int, gamma: float) -> None:
    before = np.zeros((6, 2))
    before[:, 0] = 1.0  # everything in S′ …
    before[4 : 4 + right_before, 1] = 2.0  # … but these
    one = fold(MANY.tolist(), before.tolist(), LABELS, [True, False])
    found = float(fit("pcv_published", {"pseudo_splits": [one]})["gamma"])
    assert found == gamma


def test_the_published_rule_comes_as_close_as_it_can() -> None:
    """U′ has the classes 1 and 2. Its second sample is never right: two are asked for, one is the most there is."""
    after = [[9.0, 0.0, 0.0], [5.0, 1.0, 0.0], [5.0, 0.0, 1.0]]
    before = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    one = fold(after, before, [0, 1, 1], [True, False, False])
    # d = 9, 4, 4: between 4 and 9 the first two are right.
    assert fit("pcv_published", {"pseudo_splits": [one]}) == {"gamma": 6.5}
