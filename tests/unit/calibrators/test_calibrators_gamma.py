"""Calibrators that add one γ or divide by one temperature: small cases by hand, and the published code's numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from calibrator_cases import MASK, MASKS, apply, fit, make, random_logits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from finecal.calibration.contract import Labelled, PseudoFold, Unlabelled
from finecal.calibration.parameters import refusals, state_rows
from finecal.errors import UserError
from finecal.metrics.classification import accuracies, negative_log_likelihood

GOLDEN = Path(__file__).parents[3] / ".." / "shared" / "golden"
# S = {0, 1, 2}, U = {3, 4}
TRAIN = Labelled(
    np.array([[9.0, 3.0, 1.0, 0.0, -2.0], [2.0, 8.0, 4.0, 1.0, 3.0]]),
    np.array([0, 1]),
)


def test_none_changes_nothing() -> None:
    assert fit("none", {}) == {}
    assert make("none").apply(TRAIN, {}, MASK) is TRAIN.logits


def test_alg_by_hand() -> None:
    # Row 0: the others of S (3 + 1) / 2 = 2, U (0 − 2) / 2 = −1: gap 3. Row 1: (2 + 4) / 2 − (1 + 3) / 2 = 1.
    assert fit("alg", {"train_fine_tuning": TRAIN}) == {"gamma": (3 + 1) / 2}


def test_alg_leaves_out_the_label_whichever_it_is() -> None:
    shifted = Labelled(TRAIN.logits + 1000 * np.eye(5)[TRAIN.labels], TRAIN.labels)
    assert fit("alg", {"train_fine_tuning": shifted}) == {"gamma": pytest.approx(2)}


def test_alg_with_one_class_in_s_takes_its_own_logit() -> None:
    mask = np.array([True, False, False])
    train = Labelled(np.array([[5.0, 1.0, 3.0], [1.0, -1.0, 2.0]]), np.array([0, 0]))
    assert fit("alg", {"train_fine_tuning": train}, mask) == {"gamma": (5 - 2 + 1 - 0.5) / 2}


def test_alg_with_one_class_in_u() -> None:
    mask = np.array([True, True, False])
    train = Labelled(np.array([[5.0, 1.0, 3.0]]), np.array([0]))
    assert fit("alg", {"train_fine_tuning": train}, mask) == {"gamma": 1.0 - 3.0}


@pytest.mark.parametrize("name", ["imagenet_r_like", "office_home_like", "small_ties"])
def test_alg_equals_the_published_code(name: str) -> None:
    """The published code reads test samples of all classes: the same formula on data no method may have."""
    if not GOLDEN.is_dir():
        pytest.skip(f"the published numbers are not beside this checkout: {GOLDEN} is absent")
    table = pq.read_table(GOLDEN / f"{name}.parquet")
    logits, labels = np.stack(table["logits"].to_numpy()), table["label"].to_numpy()
    published = json.loads((GOLDEN / f"{name}.json").read_text())
    mask = np.isin(np.arange(published["num_classes"]), published["fine_tuning_classes"])
    state = fit("alg", {"train_fine_tuning": Labelled(logits, labels)}, mask)
    ours = accuracies(make("alg").apply(Unlabelled(logits.astype(np.float64)), state, mask), labels, mask)
    assert {k: 100 * v.value for k, v in ours.items()} == pytest.approx(
        {
            "acc_y_y": published["alg_on_these_samples"]["All/All Accuracy"],
            "acc_s_y": published["alg_on_these_samples"]["Visible/All Accuracy"],
            "acc_u_y": published["alg_on_these_samples"]["Invisible/All Accuracy"],
            "acc_s_s": published["alg_on_these_samples"]["Visible/Visible Accuracy"],
            "acc_u_u": published["alg_on_these_samples"]["Invisible/Invisible Accuracy"],
        },
        abs=1e-4,
    )


def test_source_gap_by_hand() -> None:
    before = np.array([[3.0, 3.0, 3.0, 1.0, 1.0], [0.0, 0.0, 3.0, 2.0, 4.0]])
    # After: (13/3 + 1 + 14/3 − 2) / 2 = 4; before: (2 + 1 − 3) / 2 = 0.
    for pretrained, gamma in ((before, 4), (TRAIN.logits, 0)):
        train = replace(TRAIN, more={"pretrained": pretrained})
        assert fit("source_gap", {"train_fine_tuning": train}) == {"gamma": pytest.approx(gamma)}


def test_pcv_by_hand() -> None:
    """One sample of S′ and one of U′ per fold: any γ between their thresholds is right for both."""
    s_prime = np.array([True, False])
    first = PseudoFold(np.array([[5.0, 1.0], [3.0, 1.0]]), np.array([0, 1]), s_prime)  # d = 4, 2
    second = PseudoFold(np.array([[1.0, 4.0], [9.0, 0.0]]), np.array([1, 0]), s_prime)  # d = −3, 9
    assert fit("pcv", {"pseudo_splits": [first, second]}) == {"gamma": ((2 + 4) / 2 + (-3 + 9) / 2) / 2}


def test_pcv_balances_groups_of_unequal_size() -> None:
    """Four samples of S′ with d = 1, 2, 9, 9 against one of U′ with d = 5."""
    z = np.array([[1.0, 0.0], [2.0, 0.0], [9.0, 0.0], [9.0, 0.0], [5.0, 0.0]])
    fold = PseudoFold(z, np.array([0, 0, 0, 0, 1]), np.array([True, False]))
    # Between 5 and 9 two of four and the one of U′ are right; most samples would be right below 1.
    assert fit("pcv", {"pseudo_splits": [fold]}) == {"gamma": 7.0}


def test_oracle_by_hand() -> None:
    test = Labelled(np.array([[6.0, 0.0], [3.0, 1.0], [4.0, 3.0]]), np.array([0, 1, 1]))  # d = 6, 2, 1
    assert fit("oracle", {"test": test}, np.array([True, False])) == {"gamma": 4.0}


@pytest.mark.parametrize("seed", range(5))
def test_no_gamma_is_better_than_the_oracle(seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(80, 5)).astype(np.float32) + np.where(MASK, 1.5, 0)
    labels = random.integers(0, 5, 80)
    state = fit("oracle", {"test": Labelled(logits, labels)})
    best = accuracies(make("oracle").apply(Unlabelled(logits.astype(np.float64)), state, MASK), labels, MASK)[
        "acc_y_y"
    ].value
    grid = [accuracies(logits, labels, MASK, gamma)["acc_y_y"].value for gamma in np.linspace(-8, 8, 400)]
    assert best >= max(grid)


def test_alg_with_the_own_label_by_hand() -> None:
    """S = {0, 1, 2}: of (6, 3, 0) the mean without the label 0 is 1.5, with it 3; of U, (1, 2), it is 1.5."""
    train = {"train_fine_tuning": Labelled(np.array([[6.0, 3.0, 0.0, 1.0, 2.0]]), np.array([0]))}
    assert fit("alg", train) == {"gamma": 0.0}
    assert fit("alg", train, own_label=True) == {"gamma": 1.5}


def of_all_classes(scale: float) -> Labelled:
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 200)
    return Labelled(scale * (random.normal(size=(200, 5)) + 0.8 * np.eye(5)[labels]), labels)


def test_temperature_is_the_best_on_a_grid() -> None:
    validation = of_all_classes(8)
    logits, labels = validation.logits, validation.labels
    state = fit("temperature", {"validation": validation})
    assert list(state) == ["temperature"]
    found = state["temperature"]
    assert 1 < found < 100  # too sure of itself, and not at the end of the range
    grid = np.exp(np.linspace(math.log(0.01), math.log(100), 500))
    best = min(negative_log_likelihood(logits / t, labels) for t in grid)
    assert negative_log_likelihood(logits / found, labels) <= best + 1e-6


@pytest.mark.parametrize(("smallest", "largest", "end"), [(0.01, 0.5, 0.5), (40, 50, 40)])
def test_temperature_refuses_an_end_of_its_range(smallest: float, largest: float, end: float) -> None:
    """The best one is about 13."""
    state = fit("temperature", {"validation": of_all_classes(8)}, smallest=smallest, largest=largest)
    assert state["temperature"] == 1
    assert state["refused"] == pytest.approx(end)


def test_temperature_refuses_samples_that_are_all_right() -> None:
    """Any lower T makes the model surer of what is right."""
    state = fit("temperature", {"validation": Labelled(np.eye(5), np.arange(5))})
    assert state["temperature"] == 1
    assert state["refused"] == pytest.approx(0.01)


@pytest.mark.parametrize("labels", [[0, 1, 2, 0], [3, 4, 4, 3]])
@pytest.mark.parametrize("name", ["temperature", "bic"])
def test_validation_data_of_one_group_is_refused(name: str, labels: list[int]) -> None:
    logits = np.random.default_rng(1).normal(size=(4, 5))
    state = fit(name, {"validation": Labelled(logits, np.array(labels))})
    assert "refused" in state
    assert np.array_equal(apply(name, Unlabelled(logits), state), logits)


def test_bic_refuses_an_end_of_its_range() -> None:
    """All right within S and U: the larger α, the surer."""
    z = np.where(np.eye(5, dtype=bool), 3.0, np.where(MASK, -1.0, 0.0))
    state = fit("bic", {"validation": Labelled(z, np.arange(5))})
    assert {"alpha": state["alpha"], "beta": state["beta"]} == {"alpha": 1.0, "beta": 0.0}
    assert state["refused"] == pytest.approx(100)


def test_a_refusal_is_said() -> None:
    rows = state_rows("mine", {"validation"}, {"temperature": 1.0, "refused": 0.01})
    assert refusals(rows) == [
        "mine refuses the value 0.01: it is an end of its range, or the validation data is of S or of U alone. "
        "What it would have scaled stays as it is."
    ]
    assert refusals(rows[:1]) == []


def test_temperature_divides() -> None:
    assert apply("temperature", Unlabelled(np.array([[4.0, -2.0]])), {"temperature": 2.0}).tolist() == [[2.0, -1.0]]


def test_gamma_is_added_to_u_alone_in_float64() -> None:
    logits = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]], dtype=np.float32)
    calibrated = make("alg").apply(Unlabelled(logits), {"gamma": 0.1}, MASK)
    assert calibrated.dtype == np.float64
    assert calibrated.tolist() == [[1.0, 2.0, 3.0, 4.1, 5.1]]


def test_calibrated_stacking_is_the_oracle_of_the_validation_data() -> None:
    validation = Labelled(np.array([[6.0, 0.0], [3.0, 1.0], [4.0, 3.0]]), np.array([0, 1, 1]))  # d = 6, 2, 1
    assert fit("calibrated_stacking", {"validation": validation}, np.array([True, False])) == {"gamma": 4.0}


def test_calibrated_stacking_balances_if_asked() -> None:
    """Four samples of S with d = 1, 2, 9, 9 against one of U with d = 5, as for pcv."""
    z = np.array([[1.0, 0.0], [2.0, 0.0], [9.0, 0.0], [9.0, 0.0], [5.0, 0.0]])
    data, mask = {"validation": Labelled(z, np.array([0, 0, 0, 0, 1]))}, np.array([True, False])
    assert fit("calibrated_stacking", data, mask, criterion="balanced") == {"gamma": 7.0}
    assert fit("calibrated_stacking", data, mask)["gamma"] < 1


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e30])
@pytest.mark.parametrize("mask", ["one class in S", "one class in U"])
def test_the_oracle_reaches_the_ends_of_the_curve(scale: float, mask: str) -> None:
    """All samples are of the one class: γ must move every prediction there, at any scale of the logits.

    γ* needs a sample of U; where the one class is in S, that is one that no γ gets right.
    """
    members, logits = np.array(MASKS[mask], dtype=bool), random_logits(scale)
    only = int(np.flatnonzero(members == (mask == "one class in S"))[0])
    labels = np.full(20, only)
    if members[only]:
        with pytest.raises(UserError, match="needs test samples of absent classes"):
            fit("oracle", {"test": Labelled(logits, labels)}, members)
        labels[-1] = int(np.where(members, np.inf, logits[-1]).argmin())
    state = fit("oracle", {"test": Labelled(logits, labels)}, members)
    predicted = make("oracle").apply(Unlabelled(logits), state, members).argmax(axis=1)
    assert (predicted[labels == only] == only).all()


@given(hnp.arrays(np.float32, (6, 5), elements=st.floats(-50, 50, width=32)), st.floats(0.02, 50))
@settings(deadline=None)
def test_temperature_leaves_the_arg_max(logits: np.ndarray, temperature: float) -> None:
    calibrated = make("temperature").apply(Unlabelled(logits.astype(np.float64)), {"temperature": temperature}, MASK)
    assert (logits[np.arange(6), calibrated.argmax(axis=1)] == logits.max(axis=1)).all()
