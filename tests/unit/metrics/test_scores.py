"""What one pass over the logits says of any γ is what scoring the shifted logits says."""

from __future__ import annotations

import numpy as np
import pytest

from finecal.calibration.contract import moves_gamma_only
from finecal.calibrators import alg, temperature
from finecal.errors import UserError
from finecal.metrics.scores import AnyGamma, score, score_parts

IN_S = np.array([True, False, True, False, True])


def samples(kind: type, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    return (4 * random.normal(size=(n, 5))).astype(kind).astype(np.float64), random.integers(0, 5, n)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int8])  # whole numbers: ties
@pytest.mark.parametrize("gamma", [-300.0, -1.5, 0.0, 1.0, 2.31, 300.0])
def test_every_metric_of_the_shifted_logits(gamma: float, kind: type) -> None:
    logits, labels = samples(kind)
    expected, _ = score(logits + np.where(IN_S, 0.0, gamma), labels, IN_S)
    found = AnyGamma.of(logits, labels, IN_S).score(gamma)
    assert found.keys() == expected.keys()
    for name, (value, n, influences, bias) in expected.items():
        assert found[name][:2] == (pytest.approx(value, rel=1e-12, abs=1e-12), n), name
        assert found[name].influences == pytest.approx(influences, rel=1e-4, abs=1e-9), name
        assert found[name].bias == pytest.approx(bias, abs=1e-9)


def test_without_samples_of_the_absent_classes_or_any() -> None:
    logits, labels = samples(np.float32)
    for kept in (IN_S[labels], np.zeros(len(labels), dtype=bool)):
        expected, _ = score(logits[kept] + np.where(IN_S, 0.0, 1.0), labels[kept], IN_S)
        found = AnyGamma.of(logits[kept], labels[kept], IN_S).score(1.0)
        for name, (value, n, *_) in expected.items():
            assert found[name][:2] == (pytest.approx(value, rel=1e-12, nan_ok=True), n), name


@pytest.mark.parametrize("gamma", [np.nan, np.inf, -np.inf])
def test_gamma_has_to_be_finite(gamma: float) -> None:
    with pytest.raises(UserError, match="γ is"):
        AnyGamma.of(*samples(np.float32), IN_S).score(gamma)


def test_which_calibrators_it_is_for() -> None:
    class Other(alg.Calibrator):
        def apply(self, *_: object) -> np.ndarray:
            return np.zeros((1, 5))

    assert moves_gamma_only(alg.Calibrator(alg.Options()))
    assert not moves_gamma_only(Other(alg.Options()))
    assert not moves_gamma_only(temperature.Calibrator(temperature.Options()))


def test_parts_are_scored_as_the_whole_is() -> None:
    logits, labels = samples(np.float32)
    expected, _ = score(logits, labels, IN_S)
    found = score_parts([logits[:2], logits[2:200], logits[200:]], labels, IN_S)
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        assert found[name][:2] == one[:2], name
        assert found[name].bias == one.bias, name
        np.testing.assert_array_equal(found[name].influences, one.influences, err_msg=name)


def test_what_is_wrong_with_a_part_is_said_of_the_whole() -> None:
    logits, labels = samples(np.float32)
    with pytest.raises(UserError, match=r"shape \(200,\)"):
        score_parts([logits[:200]], labels, IN_S)
    with pytest.raises(UserError, match="labels must have shape"):
        score_parts([logits, logits[:2]], labels, IN_S)
    for value, words in ((np.nan, "row 210 contain NaN"), (np.inf, "row 210 have no softmax")):
        logits[210, 1] = value
        with pytest.raises(UserError, match=words):
            score_parts([logits[:200], logits[200:]], labels, IN_S)
