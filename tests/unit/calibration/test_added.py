"""What calibrators say that they add is what they add: scores are those of the logits that they return."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from calibrator_cases import MASK, MASKS, everything, fit, make, rows_of, samples

from finecal import registry
from finecal.calibration.added import LARGEST_SPREAD, AddShift, added_by
from finecal.calibration.contract import Labelled, Unlabelled
from finecal.calibration.shared_pass import passes
from finecal.metrics import softmax
from finecal.metrics.scores import score

ADDING = [
    "alg",
    "group_log_softmax",
    "il2m",
    "logit_adjustment",
    "logit_adjustment_validated",
    "ood_gate",
    "prior_shift_em",
]
LOGITS = (3 * np.random.default_rng(4).normal(size=(300, 5))).astype(np.float32)


def is_scored_as_it_applies(name: str, mask: np.ndarray, test: Labelled, state: Any) -> None:
    method = make(name)
    added = added_by(method, state, mask)
    assert added
    applied = method.apply(Unlabelled(test.logits.astype(np.float64)), state, mask)
    expected, _ = score(applied, test.labels, mask)
    passed, gamma = passes({name: added}, test.logits, test.labels, mask)[name]
    found = passed.score(gamma)
    assert found.keys() == expected.keys()
    for metric, (value, n, influences, bias) in expected.items():
        assert found[metric][:2] == (pytest.approx(value, rel=1e-12, abs=1e-12), n), metric
        assert found[metric].influences == pytest.approx(influences, rel=1e-4, abs=1e-9), metric
        assert found[metric].bias == pytest.approx(bias, abs=1e-9)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", ADDING)
def test_every_metric_is_that_of_the_applied_logits(monkeypatch: pytest.MonkeyPatch, name: str, mask: str) -> None:
    monkeypatch.setattr(softmax, "BLOCK_BYTES", 8 * 5 * 16)
    members = np.array(MASKS[mask], dtype=bool)
    data = everything(LOGITS, members)
    is_scored_as_it_applies(name, members, data["test"], fit(name, data, members))


@pytest.mark.parametrize("name", ADDING)
@pytest.mark.parametrize("scale", [1e-3, 100.0, 1e30])
def test_tiny_and_huge_logits(name: str, scale: float) -> None:
    data = everything((scale * LOGITS).astype(np.float32), MASK)
    is_scored_as_it_applies(name, MASK, data["test"], fit(name, data))


@pytest.mark.parametrize("name", ADDING)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_samples(name: str, n: int) -> None:
    data = everything(LOGITS, MASK)
    test = rows_of(data["test"], np.arange(n))
    method = make(name)
    state = fit(name, data)
    added = added_by(method, state, MASK)
    assert added
    passed, gamma = passes({name: added}, test.logits, test.labels, MASK)[name]
    expected, _ = score(method.apply(Unlabelled(test.logits.astype(np.float64)), state, MASK), test.labels, MASK)
    assert passed.score(gamma)["nll"].value == pytest.approx(expected["nll"].value, nan_ok=True)


def test_what_the_gate_makes_equal_is_ordered_by_the_same_rounding() -> None:
    """Most differences of S and U are the gate's margin: the area under the curve depends on their last digits."""
    rng = np.random.default_rng(0)
    data = everything((3 * rng.normal(size=(2000, 5))).astype(np.float32), MASK)
    test, method, state = data["test"], make("ood_gate"), fit("ood_gate", data)
    added = added_by(method, state, MASK)
    assert added
    passed, gamma = passes({"gate": added}, test.logits, test.labels, MASK)["gate"]
    expected, _ = score(method.apply(Unlabelled(test.logits.astype(np.float64)), state, MASK), test.labels, MASK)
    assert passed.score(gamma)["ausuc"].value == expected["ausuc"].value


def test_the_built_in_ones_that_add() -> None:
    data = everything(LOGITS, MASK)
    found = [
        name for name in registry.built_in_names("calibrator")
        if added_by(make(name), fit(name, data), MASK) and "pseudo_splits" not in registry.calibrator_record(name).reads
    ]  # fmt: skip
    assert set(found) == {*ADDING, "calibrated_stacking", "oracle", "source_gap"}


def test_another_apply_is_not_believed_to_add_the_same() -> None:
    class Other(AddShift):
        def apply(self, inputs: Unlabelled, state: Any, fine_tuning: np.ndarray) -> np.ndarray:
            return inputs.logits * 2

    class Neither:
        def apply(self, inputs: Unlabelled, state: Any, fine_tuning: np.ndarray) -> np.ndarray:
            return inputs.logits

    state = {"shift": np.arange(5.0)}
    assert added_by(AddShift(), state, MASK)  # type: ignore[arg-type]
    assert added_by(Other(), state, MASK) is None  # type: ignore[arg-type]
    assert added_by(Neither(), state, MASK) is None  # type: ignore[arg-type]


def test_a_shift_that_is_too_wide_for_shared_exponentials_is_applied() -> None:
    wide = {"shift": np.array([0.0, 0.0, 0.0, 0.0, 1.01 * LARGEST_SPREAD])}
    assert added_by(AddShift(), wide, MASK) is None  # type: ignore[arg-type]


def test_a_shift_that_is_nearly_too_wide_keeps_its_digits() -> None:
    shift = np.array([0.0, -0.99, 0.0, 0.0, -0.99]) * LARGEST_SPREAD
    z = LOGITS.astype(np.float64)
    z[:, [0, 2, 3]] -= 400  # what wins with the shift is e^−400 without
    test = samples(z)
    added = added_by(AddShift(), {"shift": shift}, MASK)  # type: ignore[arg-type]
    assert added
    passed, gamma = passes({"mine": added}, z, test.labels, MASK)["mine"]
    expected, _ = score(z + shift, test.labels, MASK)
    assert passed.score(gamma)["nll"].value == pytest.approx(expected["nll"].value, rel=1e-13)
