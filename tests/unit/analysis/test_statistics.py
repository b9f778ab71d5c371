"""Means, intervals and paired differences against hand calculation and theory."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from result_tables import RUNS, made_metrics

from finecal.analysis.statistics import gains, intervals, summarise
from finecal.errors import UserError


def row(summary: pd.DataFrame, classifier: str, calibrator: str, metric: str) -> pd.Series:
    chosen = summary[(summary["classifier"] == classifier) & (summary["calibrator"] == calibrator)]
    return chosen.set_index("metric").loc[metric]


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
    assert (alg["n_runs"], alg["n_samples"], alg["n_pairs"]) == (4, 9000, 4)
    assert 0.68 <= alg["low"] < 0.7 < alg["high"] <= 0.72
    # The runs differ, the difference to plain fine-tuning does not: pairing takes the runs out.
    found = [alg[name] for name in ("difference", "difference_low", "difference_high")]
    assert found == pytest.approx([0.1] * 3, abs=4e-4)  # two of 9,000 samples, as Bonett and Price add them
    pretrained = row(summary, "pretrained", "none", "acc_u_y")
    assert pretrained["difference"] == pytest.approx(0.4)
    assert 0.39 <= pretrained["difference_low"] < 0.4 < pretrained["difference_high"] <= 0.41
    plain = row(summary, "fine_tuned", "none", "acc_u_y")
    assert plain["difference"] == 0
    assert plain["n_runs"] == 4
    assert pretrained["n_runs"] == 1  # one model, however many rows
    assert (alg["n_splits"], pretrained["n_splits"]) == (2, 2)
    assert row(summary, "oracle_fine_tuning", "none", "acc_y_y")["n_runs"] == 2  # two seeds, for all splits


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


def test_summary_of_one_run_is_over_its_test_samples() -> None:
    alg = row(summarise(made_metrics(RUNS[:1])), "fine_tuned", "alg", "acc_y_y")
    assert (alg["n_runs"], alg["n_splits"]) == (1, 1)
    assert alg["mean"] == pytest.approx(0.69)
    assert [alg["low"], alg["high"]] == pytest.approx([0.68, 0.70], abs=5e-4)
    unknown = row(summarise(made_metrics(RUNS[:1]).drop(columns="influences")), "fine_tuned", "alg", "acc_y_y")
    assert unknown["mean"] == pytest.approx(0.69)
    assert math.isnan(unknown["low"])
    assert math.isnan(unknown["difference_high"])


def test_a_run_that_is_there_twice_is_an_error() -> None:
    with pytest.raises(UserError, match="is there twice"):
        summarise(pd.concat([made_metrics(), made_metrics(RUNS[:1])]))


def test_gains_are_fine_tuned_minus_pretrained() -> None:
    found = gains(made_metrics(), ["acc_u_y", "ncm_acc_u_y"])
    means = found.groupby("metric")["gain"].mean()
    assert means.to_dict() == pytest.approx({"acc_u_y": -0.4, "ncm_acc_u_y": 0.02})
    assert len(found) == 8
    assert set(found["n"]) == {4000}
