"""Intervals by hand, their limits, and their coverage where the truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from finecal.analysis.intervals import FEWEST, Runs, difference_of, mean_of, values_of
from finecal.analysis.spread import wilson

FOUR = [("a", 0), ("b", 0), ("c", 0), ("d", 0)]


def runs(values: list[float], cells: list[tuple[str, int]], influences: np.ndarray | None = None, **names: str) -> Runs:
    found = None if influences is None else influences.astype(np.float32)
    return Runs(names.get("metric", "nll"), names.get("classifier", "fine_tuned"), cells, np.array(values), found, 500)


def test_splits_make_a_t_interval() -> None:
    found = mean_of(runs([1.0, 2.0, 3.0, 4.0], FOUR))
    half = t.ppf(0.975, 3) * np.std([1, 2, 3, 4], ddof=1) / 2
    assert found == pytest.approx((2.5, 2.5 - half, 2.5 + half, 4))
    assert values_of(np.array([1.0, np.nan, 3.0, 4.0]), FOUR).n == 3


def test_seeds_of_a_split_are_not_independent() -> None:
    """Ten seeds of two splits say no more of splits than one seed of each."""
    cells = [(split, seed) for split in "ab" for seed in range(10)]
    found = mean_of(runs([1.0] * 10 + [2.0] * 10, cells))
    assert found[:3] == pytest.approx(mean_of(runs([1.0, 2.0], [("a", 0), ("b", 0)]))[:3])
    assert found.n == 20


def test_with_one_split_its_seeds_are_what_varies() -> None:
    found = mean_of(runs([1.0, 2.0, 3.0], [("a", seed) for seed in range(3)]))
    assert found.high - found.mean == pytest.approx(t.ppf(0.975, 2) / np.sqrt(3))


def test_what_all_runs_share_is_added_and_what_a_split_has_for_itself_is_not_counted_twice() -> None:
    rng = np.random.default_rng(0)
    shared, own = rng.standard_normal(250) / 50, rng.standard_normal((4, 250)) / 50
    values = [1.0, 1.1, 1.2, 1.3]
    squares = {}
    for name, influences in {"shared": np.tile(shared, (4, 1)), "own": own}.items():
        found = mean_of(runs(values, FOUR, influences))
        squares[name] = (found.high - found.mean) ** 2 - (t.ppf(0.975, 3) * np.std(values, ddof=1) / 2) ** 2
    variance = 250 / 249 * (shared**2).sum()
    assert squares["shared"] == pytest.approx(t.ppf(0.975, 249) ** 2 * variance, rel=1e-4)
    assert squares["own"] < 0.2 * squares["shared"]  # V_b has it already; what is left is chance


def test_trainings_are_counted_and_not_rows() -> None:
    cells = [(split, seed) for split in "abc" for seed in (0, 1)]
    values = list(np.linspace(0.5, 0.6, 6))
    counts = {
        name: mean_of(runs(values, cells, metric="acc_y_y", classifier=name)).n
        for name in ("pretrained", "fine_tuned", "oracle_fine_tuning")
    }
    assert counts == {"pretrained": 1, "fine_tuned": 6, "oracle_fine_tuning": 2}


def test_seeds_of_oracle_fine_tuning_count_though_every_split_has_the_same() -> None:
    cells = [(split, seed) for split in "abcd" for seed in (0, 1)]
    found = mean_of(runs([0.4, 0.6] * 4, cells, metric="nll", classifier="oracle_fine_tuning"))
    assert found.high - found.mean == pytest.approx(t.ppf(0.975, 1) * 0.1)


@pytest.mark.parametrize(("mean", "low", "high"), [(1.0, 0.8865, 1.0), (0.0, 0.0, 0.1135)])
def test_all_right_and_all_wrong_have_an_interval(mean: float, low: float, high: float) -> None:
    """30 of 30: a symmetric interval would be [1, 1]."""
    one = replace(runs([mean], [("", 0)], np.zeros((1, 30)), metric="acc_y_y"), n=30)
    assert mean_of(one)[:3] == pytest.approx((mean, low, high), abs=1e-4)


def test_equal_answers_leave_a_difference_uncertain() -> None:
    one = replace(runs([0.7], [("", 0)], np.zeros((1, 30)), metric="acc_y_y"), n=30)
    found = difference_of(one, one)
    half = t.ppf(0.975, 29) * np.sqrt(2) / 32
    assert found[:3] == pytest.approx((0.0, -half, half))


def test_too_few_samples_of_one_training_have_no_interval() -> None:
    few = replace(runs([0.7], [("", 0)], np.zeros((1, 19)), metric="acc_y_y"), n=FEWEST - 1)
    assert not mean_of(few).known
    assert not difference_of(few, few).known
    several = replace(runs([0.7, 0.8, 0.7, 0.8], FOUR, np.zeros((4, 19)), metric="acc_y_y"), n=FEWEST - 1)
    assert mean_of(several).known


def test_differences_are_of_the_runs_that_both_have() -> None:
    found = difference_of(runs([1.0, 2.0, 4.0], FOUR[:3]), runs([1.5, 1.0], FOUR[1:3]))
    assert (found.mean, found.n) == (pytest.approx(1.75), 2)
    assert difference_of(runs([1.0], FOUR[:1]), runs([1.0], FOUR[1:2])).n == 0


def test_wilson_is_the_known_one() -> None:
    half = 1.959964 * np.sqrt(0.9 * 0.1 / 100)
    assert wilson(0.9, half, 100, 0.95) == pytest.approx((0.8256, 0.9448), abs=1e-4)


@pytest.mark.parametrize(("splits", "seeds"), [(4, 1), (10, 1), (4, 3)])
def test_coverage_where_the_truth_is_known(splits: int, seeds: int) -> None:
    """Effects of splits, seeds and shared test samples, all normal; `benchmarks/coverage.py` does it with logits."""
    rng, covered, repeats = np.random.default_rng(splits), 0, 600
    cells = [(f"{split}", seed) for split in range(splits) for seed in range(seeds)]
    for _ in range(repeats):
        samples = rng.standard_normal(200)
        values = np.repeat(0.05 * rng.standard_normal(splits), seeds) + 0.01 * rng.standard_normal(splits * seeds)
        influences = np.tile((samples - samples.mean()) * 0.4 / 200, (len(cells), 1))
        found = mean_of(runs(list(values + 0.4 * samples.mean()), cells, influences))
        covered += found.low <= 0 <= found.high
    assert 0.93 <= covered / repeats <= 0.985
