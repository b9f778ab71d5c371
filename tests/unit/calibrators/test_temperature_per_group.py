"""A temperature for samples that PCV combined puts into S, and one for those it puts into U."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from calibrator_cases import MASK, apply, fit, make
from pydantic import ValidationError

from finecal.calibration.contract import Labelled, PseudoFold, Unlabelled
from finecal.metrics.classification import negative_log_likelihood

S = np.array([True, True, True, True, False])
TRAIN = Labelled(np.array([[9.0, 3.0, 1.0, 0.0, -2.0]]), np.array([0]), more={"pretrained": np.zeros((1, 5))})


def data(*folds: PseudoFold) -> dict[str, Any]:
    return {"train_fine_tuning": TRAIN, "pseudo_splits": list(folds)}


def random_fold(seed: int, scale_u: float) -> PseudoFold:
    """Samples of four classes, S′ = {0, 1}; where U′ wins, logits are scale_u times as large as they should be."""
    random = np.random.default_rng(seed)
    labels = np.arange(400) % 4
    z = random.normal(size=(400, 4)) + 2 * np.eye(4)[labels]
    z = np.where(z.argmax(axis=1, keepdims=True) >= 2, scale_u * z, z)
    wide = np.column_stack([z, np.full((400, 1), -50.0)])
    s_prime = np.array([True, True, False, False])
    return PseudoFold(z, labels, s_prime, all_logits=wide, more={"pretrained": np.zeros((400, 4))})


def certain_fold() -> PseudoFold:
    """One sample of each class, all right by far. Balanced by γ′ = 0."""
    z = 20 * np.eye(4)
    wide = np.column_stack([z, np.full((4, 1), -50.0)])
    s_prime = np.array([True, True, False, False])
    return PseudoFold(z, np.arange(4), s_prime, all_logits=wide, more={"pretrained": np.zeros((4, 4))})


def test_the_group_that_wins_decides() -> None:
    state = {"gamma": 1.0, "temperature_s": 2.0, "temperature_u": 4.0}
    z = np.array([[3.0, 0.0, 0.0, 1.0, 0.0], [3.0, 0.0, 0.0, 2.5, 0.0], [2.0, 0.0, 0.0, 1.0, 1.0]])
    found = apply("temperature_per_group", Unlabelled(z), state, MASK)
    # S = {0, 1, 2}. With γ the best of U are 2, 3.5 and 2: S, U, and a tie, which goes to S.
    assert found[0].tolist() == [1.5, 0.0, 0.0, 1.0, 0.5]
    assert found[1].tolist() == [0.75, 0.0, 0.0, 0.875, 0.25]
    assert found[2].tolist() == [1.0, 0.0, 0.0, 1.0, 1.0]


def test_each_temperature_is_the_best_of_its_group() -> None:
    one = random_fold(0, scale_u=3.0)
    state = fit("temperature_per_group", data(one), S)
    assert state["gamma"] == fit("pcv_combined", data(one), S)["gamma"]
    gamma = float(fit("pcv_all_classes", data(one), S)["gamma"])
    assert one.all_logits is not None
    moved = one.all_logits + np.array([0.0, 0.0, gamma, gamma, gamma])
    in_s = moved[:, :2].max(axis=1) >= moved[:, 2:].max(axis=1)
    for name, rows in (("temperature_s", in_s), ("temperature_u", ~in_s)):
        grid = np.exp(np.linspace(np.log(0.05), np.log(20), 600))
        losses = [negative_log_likelihood(moved[rows] / t, one.labels[rows]) for t in grid]
        assert state[name] == pytest.approx(grid[int(np.argmin(losses))], rel=0.02)
    assert float(state["temperature_u"]) > 1.5 * float(state["temperature_s"])
    assert "refused" not in state


def test_the_arg_max_is_that_of_pcv_combined() -> None:
    one = random_fold(1, scale_u=2.0)
    z = Unlabelled(np.random.default_rng(2).normal(size=(200, 5)))
    state = fit("temperature_per_group", data(one), S)
    other = apply("pcv_combined", z, fit("pcv_combined", data(one), S), S)
    assert np.array_equal(apply("temperature_per_group", z, state, S).argmax(axis=1), other.argmax(axis=1))


def test_a_group_in_which_all_are_right_has_the_temperature_of_all() -> None:
    one = random_fold(2, scale_u=1.0)
    assert one.all_logits is not None
    z = one.all_logits.copy()
    z[np.isin(one.labels, [0, 1]), 2:] = -50.0  # samples of S′ are never put outside …
    z[np.isin(one.labels, [2, 3]), :2] = -50.0  # … nor those of U′ into S′
    z[one.labels == 0, :2] = [1.5, 0.0]
    z[one.labels == 1, :2] = [0.0, 1.5]
    one = replace(one, logits=z[:, :4], all_logits=z)
    state = fit("temperature_per_group", data(one), S)
    gamma = float(fit("pcv_all_classes", data(one), S)["gamma"])
    moved = z + np.array([0.0, 0.0, gamma, gamma, gamma])
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 600))
    best = grid[int(np.argmin([negative_log_likelihood(moved / t, one.labels) for t in grid]))]
    assert state["temperature_s"] == pytest.approx(best, rel=0.02)
    assert state["temperature_u"] != pytest.approx(state["temperature_s"], rel=0.05)
    assert "refused" not in state


def test_a_temperature_at_an_end_is_refused() -> None:
    """All samples are right: the surer the better."""
    state = fit("temperature_per_group", data(certain_fold()), S, smallest=5.0, largest=20.0)
    assert (state["temperature_s"], state["temperature_u"]) == (1.0, 1.0)
    assert state["refused"] == pytest.approx(5.0, rel=0.01)


def test_a_range_is_in_order() -> None:
    with pytest.raises(ValidationError, match="`smallest` must be below `largest`"):
        make("temperature_per_group", smallest=2.0, largest=1.0)
