"""Means, intervals and paired differences against hand calculation and theory."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from result_tables import RUNS, made_metrics

from finecal.analysis.statistics import bootstrap_interval, gains, intervals, summarise
from finecal.errors import UserError


def row(summary: pd.DataFrame, classifier: str, calibrator: str, metric: str) -> pd.Series:
    chosen = summary[(summary["classifier"] == classifier) & (summary["calibrator"] == calibrator)]
    return chosen.set_index("metric").loc[metric]


def test_interval_of_two_runs_is_the_two_runs() -> None:
    # Of the four equally likely resamples one has mean 0 and one has mean 1: both tails hold 25 %.
    assert tuple(bootstrap_interval([0.0, 1.0])) == (0.5, 0.0, 1.0, 2)


def test_interval_agrees_with_normal_theory() -> None:
    values = np.random.default_rng(0).normal(10, 2, 400)
    found = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_interval_is_the_same_every_time_and_exact_for_equal_values() -> None:
    values = [0.1, 0.4, 0.35]
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert tuple(bootstrap_interval([0.1, 0.1, 0.1]))[1:] == (0.1, 0.1, 3)


def test_one_run_has_no_interval_and_nan_is_not_a_run() -> None:
    one = bootstrap_interval([0.3, float("nan")])
    assert (one.mean, one.n, one.known) == (0.3, 1, False)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    none = bootstrap_interval([])
    assert math.isnan(none.mean)
    assert none.n == 0


def test_intervals_do_not_depend_on_the_order_of_rows() -> None:
    metrics = made_metrics()
    by = ["classifier", "calibrator", "metric"]
    one, other = intervals(metrics, by, "value"), intervals(metrics[::-1], by, "value")
    pd.testing.assert_frame_equal(one.sort_values(by, ignore_index=True), other.sort_values(by, ignore_index=True))
    assert list(one["metric"][:3]) == ["acc_y_y", "acc_s_y", "acc_u_y"]  # as they appear


def test_summary_has_means_and_paired_differences() -> None:
    summary = summarise(made_metrics())
    alg = row(summary, "fine_tuned", "alg", "acc_y_y")
    assert alg["mean"] == pytest.approx(0.7)
    assert alg["reads"] == "train_fine_tuning"
    assert (alg["n_runs"], alg["n_samples"], alg["n_pairs"]) == (4, 90, 4)
    assert 0.68 <= alg["low"] < 0.7 < alg["high"] <= 0.72
    # The runs differ, the difference to plain fine-tuning does not: pairing takes the runs out.
    assert [alg[name] for name in ("difference", "difference_low", "difference_high")] == pytest.approx([0.1] * 3)
    pretrained = row(summary, "pretrained", "none", "acc_u_y")
    assert pretrained["difference"] == pytest.approx(0.4)
    assert 0.39 <= pretrained["difference_low"] < 0.4 < pretrained["difference_high"] <= 0.41
    plain = row(summary, "fine_tuned", "none", "acc_u_y")
    assert [plain[name] for name in ("difference", "difference_low", "difference_high")] == [0, 0, 0]


def test_summary_pairs_within_a_recipe_only() -> None:
    better = {("fine_tuned", "none", "acc_y_y"): 0.65}
    summary = summarise(pd.concat([made_metrics(), made_metrics(changes=better, recipe="probe")]))
    differences = summary[(summary["calibrator"] == "alg") & (summary["metric"] == "acc_y_y")].set_index("recipe")
    assert differences["difference"].to_dict() == pytest.approx({"full": 0.1, "probe": 0.05})


def test_summary_leaves_nan_out_and_counts_what_is_left() -> None:
    metrics = made_metrics()
    is_alg = (metrics["calibrator"] == "alg") & (metrics["metric"] == "acc_y_y")
    is_plain = (
        (metrics["calibrator"] == "none") & (metrics["classifier"] == "fine_tuned") & (metrics["metric"] == "acc_y_y")
    )
    metrics.loc[is_alg & (metrics["split"] == "a") & (metrics["seed"] == 0), "value"] = np.nan
    metrics.loc[is_plain & (metrics["split"] == "b"), "value"] = np.nan
    alg = row(summarise(metrics), "fine_tuned", "alg", "acc_y_y")
    assert (alg["n_runs"], alg["n_pairs"]) == (3, 1)
    assert alg["mean"] == pytest.approx((0.71 + 0.68 + 0.72) / 3)
    assert alg["difference"] == pytest.approx(0.1)
    assert math.isnan(alg["difference_low"])


def test_summary_of_one_run() -> None:
    alg = row(summarise(made_metrics(RUNS[:1])), "fine_tuned", "alg", "acc_y_y")
    assert alg["n_runs"] == 1
    assert alg["mean"] == pytest.approx(0.69)
    assert math.isnan(alg["low"])
    assert math.isnan(alg["difference_high"])


def test_a_run_that_is_there_twice_is_an_error() -> None:
    with pytest.raises(UserError, match="is there twice"):
        summarise(pd.concat([made_metrics(), made_metrics(RUNS[:1])]))


def test_gains_are_fine_tuned_minus_pretrained() -> None:
    found = gains(made_metrics(), ["acc_u_y", "ncm_acc_u_y"])
    means = found.groupby("metric")["gain"].mean()
    assert means.to_dict() == pytest.approx({"acc_u_y": -0.4, "ncm_acc_u_y": 0.02})
    assert len(found) == 8
    assert set(found["n"]) == {40}
