"""What γ is chosen by: cases by hand, and every vertex tried one after the other."""

from __future__ import annotations

import typing
from functools import partial

import numpy as np
import pytest
from calibrator_cases import fit
from hypothesis import given, settings
from hypothesis import strategies as st

from finecal.calibration.contract import Head, Labelled, PseudoFold
from finecal.calibration.criterion import Criterion, best_change, best_gamma, score
from finecal.errors import UserError
from finecal.metrics.classification import seen_unseen_curve
from finecal.metrics.scores import score as every_metric

CRITERIA = typing.get_args(Criterion)
IN_S = np.array([True, False, False])


def unequal() -> Labelled:
    """Ten samples of class 0 (S) with d = 1, …, 10; of U nine of class 1 with d = 0.5 and one of class 2 with d = 6.5.

    Per sample γ ∈ (0.5, 1) gets 19 of 20 right. Per class, S loses 0.1 a step and U gains 0.5 at d = 6.5.
    """
    labels = np.array([0] * 10 + [1] * 9 + [2])
    logits = np.full((20, 3), -99.0)
    logits[:, 0] = [*range(1, 11), *[0.5] * 9, 6.5]
    logits[np.arange(20), np.where(labels == 0, 1, labels)] = 0
    return Labelled(logits, labels)


# γ ∈ (0.5, 1): s = 1, u = 0.9 per sample and 0.5 per class; γ ∈ (6.5, 7): s = 0.4, u = 1 (both).
EXPECTED = {
    "all_classes": 0.75,  # 19 against 14 of 20
    "balanced": 0.75,  # 0.95 against 0.7
    "harmonic_mean": 0.75,  # 0.947 against 0.571
    "macro_all_classes": 6.75,  # (1 + 0.5·2)/3 = 2/3 against (0.4 + 2)/3 = 0.8
    "macro_balanced": 0.75,  # 0.75 against 0.7
    "macro_harmonic_mean": 0.75,  # 0.667 against 0.571
}


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_best_gamma_by_hand(criterion: Criterion) -> None:
    one = unequal()
    assert best_gamma(one.logits, one.labels, IN_S, criterion) == EXPECTED[criterion]


def of(criterion: str, values: dict[str, tuple[float, int]]) -> float:
    """The criterion from a run's metrics."""
    prefix, name = ("macro_", criterion.removeprefix("macro_")) if criterion.startswith("macro_") else ("", criterion)
    if name == "balanced":
        return (values[f"{prefix}acc_s_y"][0] + values[f"{prefix}acc_u_y"][0]) / 2
    return values[prefix + {"all_classes": "acc_y_y"}.get(name, name)][0]


@given(st.integers(0, 10_000), st.integers(2, 30), st.sampled_from(CRITERIA))
@settings(deadline=None)
def test_no_vertex_is_better_and_of_equals_none_is_nearer(seed: int, n: int, criterion: Criterion) -> None:
    random = np.random.default_rng(seed)
    labels = np.append(random.choice(3, n, p=[0.5, 0.4, 0.1]), [0, 1])
    logits = random.normal(size=(n + 2, 3))
    found = best_gamma(logits, labels, IN_S, criterion)
    gammas = seen_unseen_curve(logits, labels, IN_S).gamma[1:-1]
    scores = [of(criterion, every_metric(logits + np.where(IN_S, 0, g), labels, IN_S)[0]) for g in [*gammas, found]]
    assert scores[-1] >= max(scores) - 1e-9
    if found in gammas:
        equal = [abs(g) for g, one in zip(gammas, scores, strict=False) if one > scores[-1] - 1e-9]
        assert abs(found) == min(equal)
    assert score(logits, labels, IN_S, criterion) == pytest.approx(
        of(criterion, every_metric(logits, labels, IN_S)[0]), abs=1e-11
    )


@pytest.mark.parametrize("criterion", CRITERIA)
def test_calibrators_follow_the_criterion(criterion: Criterion) -> None:
    one = unequal()
    expected = {"gamma": EXPECTED[criterion]}
    assert fit("oracle", {"test": one}, IN_S, criterion=criterion) == expected
    assert fit("calibrated_stacking", {"validation": one}, IN_S, criterion=criterion) == expected
    folds = [PseudoFold(one.logits + np.where(IN_S, 0, shift), one.labels, IN_S) for shift in (0, 1)]
    data = {"train_fine_tuning": one, "pseudo_splits": folds}
    second = best_gamma(folds[1].logits, one.labels, IN_S, criterion)
    assert fit("pcv", data, IN_S, criterion=criterion) == {"gamma": (EXPECTED[criterion] + second) / 2}


def test_the_defaults_are_the_papers() -> None:
    one = unequal()
    fold = PseudoFold(one.logits, one.labels, IN_S)
    assert fit("pcv", {"train_fine_tuning": one, "pseudo_splits": [fold]}, IN_S) == {"gamma": EXPECTED["balanced"]}
    assert fit("oracle", {"test": one}, IN_S) == {"gamma": EXPECTED["all_classes"]}


def test_tau_by_the_criterion() -> None:
    """τ = 1 wins the one sample of class 2 and loses four of class 0: worse per sample, better per class."""
    head = Head(np.array([[4.0], [4.0], [1.0]]), np.zeros(3))  # τ = 1 multiplies by 3/4, 3/4, 3
    rows = [([8.0, 0.0, 3.0], 0, 4), ([9.0, 0.0, 1.0], 0, 6), ([0.0, 9.0, 1.0], 1, 9), ([0.0, 8.0, 3.0], 2, 1)]
    data = Labelled(
        np.array([row for row, _, count in rows for _ in range(count)]),
        np.array([label for _, label, count in rows for _ in range(count)]),
    )
    available = {"validation": data, "weights": head}
    for criterion, tau in (("all_classes", 0.0), ("macro_all_classes", 1.0), ("macro_balanced", 1.0)):
        assert fit("tau_norm_validated", available, IN_S, criterion=criterion, taus=(0.0, 1.0)) == {"tau": tau}


@pytest.mark.parametrize("criterion", [name for name in CRITERIA if not name.endswith("all_classes")])
@pytest.mark.parametrize("kept", [0, 1])
def test_both_groups_need_samples(criterion: Criterion, kept: int) -> None:
    one = unequal()
    rows = IN_S[one.labels] == bool(kept)
    for function in (best_gamma, score):
        with pytest.raises(UserError, match="Both accuracies need at least one sample"):
            function(one.logits[rows], one.labels[rows], IN_S, criterion)


def test_best_change_is_that_with_most_right_and_of_equals_the_first() -> None:
    rng = np.random.default_rng(0)
    samples = Labelled(rng.normal(size=(150, 400)).astype(np.float32), rng.integers(0, 400, 150))  # in several blocks
    of_labels = np.bincount(samples.labels, minlength=400)
    shifts = [np.zeros(400), -of_labels, of_labels, of_labels * 1.0]
    right = [((samples.logits + shift).argmax(axis=1) == samples.labels).sum() for shift in shifts]
    assert right[2] == right[3] > right[0] > right[1]
    assert best_change(samples, [partial(np.add, shift) for shift in shifts]) == 2
