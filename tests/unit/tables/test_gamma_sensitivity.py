"""How much the choice of γ matters, on step functions that can be read off."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from result_tables import NAMES

from finecal import figures
from finecal.metrics.classification import seen_unseen_curve
from finecal.tables import gamma_sensitivity
from finecal.tables._gamma import Steps

STEPS = Steps(np.arange(6.0), np.array([0.5, 0.9, 0.905, 0.91, 0.5, 0.91]))


def made(shifts: dict[int, float], gammas: dict[str, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One run per seed whose curve is STEPS, moved along γ."""
    curves, fitted = [], []
    for seed, shift in shifts.items():
        run = {**NAMES, "split": "a", "seed": seed}
        gamma = np.concatenate([[-np.inf], STEPS.gamma + shift, [np.inf]])
        accuracy = np.concatenate([[0.5], STEPS.accuracy, [0.4]])
        for classifier in ("pretrained", "fine_tuned"):
            curves.append(pd.DataFrame({**run, "classifier": classifier, "gamma": gamma, "acc_y_y": accuracy}))
        fitted += [
            {**run, "calibrator": name, "reads": "", "parameter": "gamma", "value": value}
            for name, value in gammas.items()
        ]
    fitted.append(
        {**NAMES, "split": "a", "seed": 0, "calibrator": "t", "reads": "", "parameter": "temperature", "value": 1}
    )
    return pd.concat(curves, ignore_index=True), pd.DataFrame(fitted)


def test_the_best_vertex_and_what_is_tolerated_around_it() -> None:
    assert STEPS.best() == 3  # of 3 and 5 the smaller |γ|
    assert STEPS.tolerated_interval() == (0.5, 3.5)  # not the equal maximum beyond the gap
    assert STEPS.tolerated_interval(0.001) == (2.5, 3.5)
    assert STEPS.tolerated_interval(1) == (0, 5)
    assert list(STEPS.at([-10, 0.49, 0.51, 10])) == [0.5, 0.5, 0.9, 0.91]


def test_accuracies_are_those_of_the_curve() -> None:
    rng = np.random.default_rng(0)
    curve = seen_unseen_curve(rng.normal(size=(60, 4)), rng.integers(0, 4, 60), [0, 1])
    finite = np.isfinite(curve.gamma)
    steps = Steps(curve.gamma[finite], curve.acc_y_y[finite])
    assert np.array_equal(steps.at(curve.gamma[finite]), curve.acc_y_y[finite])
    anywhere = rng.uniform(-2, 2, 200)
    assert set(steps.at(anywhere)) <= set(curve.acc_y_y)
    exact = np.array([curve.at(g).acc_y_y for g in anywhere])
    assert np.abs(steps.at(anywhere) - exact).max() <= 1 / 60 + 1e-12  # one sample changes sides


def test_table_by_hand() -> None:
    tidy = gamma_sensitivity.build(*made({0: 0.0, 1: 1.0}, {"alg": 1.0, "pcv": 3.0}))
    mean = tidy.pivot_table(index="calibrator", columns="quantity", values="mean")
    assert mean.loc["alg"].to_dict() == pytest.approx(
        {"gamma": 1, "loss": (0.01 + 0.41) / 2, "offset": -2.5, "width": 3}
    )
    assert mean.loc["pcv"].to_dict() == pytest.approx({"gamma": 3, "loss": 0.0025, "offset": -0.5, "width": 3})
    assert tidy.groupby("calibrator")["within"].first().to_dict() == {"alg": 1, "pcv": 2}
    shown = gamma_sensitivity.present(tidy).set_index("method")
    assert list(shown.index) == ["ALG", "PCV"]  # the temperature is no γ
    assert shown.loc["ALG", "γ − γ*"] == "−2.50 [−8.85, 3.85]"
    assert shown.loc["PCV", "runs that lose ≤ 1 point"] == "2 of 2"


def test_figure_at_the_chosen_gamma() -> None:
    curve, calibration = made({0: 0.0, 1: 1.0}, {"alg": 1.0})
    _, data = figures.draw("gamma_sensitivity", {"curve": curve, "calibration": calibration})
    line = data[data["element"] == "line"]
    assert line.loc[line["offset"].abs().idxmin(), "mean"] == pytest.approx((90 + 50) / 2)
    single = data[data["element"] != "line"].set_index("element")
    assert single.loc["best", "mean"] == pytest.approx(91)
    assert single.loc["tolerated_low", ["mean", "low", "high"]].tolist() == pytest.approx(
        [0, -6.3531, 6.3531], abs=1e-4
    )  # two splits: t = 12.7
    assert single.loc["tolerated_high", "mean"] == pytest.approx(3)
    assert set(data["n_runs"]) == {2}
