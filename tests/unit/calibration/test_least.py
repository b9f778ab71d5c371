"""Newton's method inside a range: as small a loss as SciPy finds, from a few looks at the data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from calibrator_cases import MASK, fit
from scipy.optimize import minimize, minimize_scalar

from finecal.calibration.contract import Labelled
from finecal.calibration.least import Look, least, root, some_of
from finecal.calibrators import _temperature
from finecal.metrics.classification import negative_log_likelihood
from finecal.metrics.softmax import scaled_moments


def sample(seed: int, scale: float, n: int = 700) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, n)
    return scale * (random.normal(size=(n, 5)) + random.uniform(0.6, 2) * np.eye(5)[labels]), labels


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scale", [0.05, 1.0, 10.0])
def test_no_temperature_is_better(seed: int, scale: float) -> None:
    logits, labels = sample(seed, scale)

    def loss(log_t: float) -> float:
        return negative_log_likelihood(logits, labels, temperature=math.exp(log_t))

    ends = math.log(0.01), math.log(100)
    other = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    found, end = _temperature.best_temperature(logits, labels, 0.01, 100)
    assert end is None
    assert found == pytest.approx(other, abs=1e-6)  # where comparing losses ends: beyond, their digits are used up
    assert loss(found) <= loss(other) + 1e-15 * abs(loss(other))


@pytest.mark.parametrize("seed", range(8))
def test_no_scale_and_shift_are_better(seed: int) -> None:
    logits, labels = sample(seed, 2.0)
    logits = logits + np.where(MASK, 2.5, 0)
    state = fit("bic", {"validation": Labelled(logits, labels)})

    def loss(x: np.ndarray) -> float:
        return negative_log_likelihood(np.where(MASK, x[0] * logits + x[1], logits), labels)

    other = minimize(loss, [1.0, 0.0], tol=1e-12)
    assert loss(np.array([state["alpha"], state["beta"]])) <= float(other.fun) * (1 + 1e-14)


def test_few_looks_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = sample(0, 3.0, n=5000)
    looks: list[int] = []

    def counted(given: np.ndarray, scale: float) -> tuple[np.ndarray, ...]:
        looks.append(len(given))
        return scaled_moments(given, scale)

    monkeypatch.setattr(_temperature, "scaled_moments", counted)
    _temperature.best_temperature(logits, labels, 0.01, 100)
    assert looks.count(len(logits)) <= 4
    assert sum(looks) <= 5 * len(logits)


def square(x: float) -> Look:
    return Look((x - 1) ** 2, 2 * (x - 1), 2)


@pytest.mark.parametrize(("ends", "expected"), [((-5.0, 4.0), 1.0), ((2.0, 4.0), 2.0), ((-5.0, 0.5), 0.5)])
@pytest.mark.parametrize("start", [-9.0, 0.0, 3.0, 9.0])
@pytest.mark.parametrize("part", [0.0, 1.0])
def test_an_end_is_found_and_said(ends: tuple[float, float], expected: float, start: float, part: float) -> None:
    """Wherever some of the samples begin, whether or not they know that the ends are worse."""
    some = lambda x: Look((x - start) ** 2, 2 * (x - start), 2) if part == 0 else square(x)  # noqa: E731
    assert least(square, ends, some, part) == (expected, expected if expected in ends else None)


def test_a_loss_that_never_changes_is_as_good_at_the_first_end() -> None:
    def look(_: float) -> Look:
        return Look(3.0, 0.0, 0.0)

    assert least(look, (-1.0, 2.0), look, 1.0).end == -1.0


def test_a_loss_that_is_flat_up_to_an_end() -> None:
    """The slope fades away without becoming 0, as where all samples are right."""

    def look(x: float) -> Look:
        return Look(math.exp(-x), -math.exp(-x), math.exp(-x))

    assert least(look, (-3.0, 600.0), look, 0.5).end == 600.0


def test_some_are_evenly_spread() -> None:
    for n in (1, 99, 199, 200, 1945, 100_000):
        some, part = some_of(n)
        assert min(n, 100) <= len(range(n)[some]) < 200
        assert part == len(range(n)[some]) / n


@pytest.mark.parametrize("zero", [-2.9, 0.0, 0.3, 1e-9, 700.0])
def test_the_root_of_a_function_that_leads_newton_astray(zero: float) -> None:
    """The arc tangent: Newton's method alone runs away from it."""
    looks = []

    def slope(x: float) -> tuple[float, float]:
        looks.append(x)
        return math.atan(5 * (x - zero)), 5 / (1 + 25 * (x - zero) ** 2)

    assert root(slope, (-3.0, 1e3), 500.0) == pytest.approx(zero, abs=1e-10)
    assert len(looks) < 60


def test_a_step_of_the_function() -> None:
    """Nowhere 0, and without a derivative: halving ends where no number lies between."""
    assert root(lambda x: (1.0 if x > 0.25 else -1.0, 0.0), (-8.0, 8.0), 0.0) == pytest.approx(0.25, abs=1e-15)
