"""No words in a figure lie on an axis, and the curve shows every method that is one γ."""

from __future__ import annotations

import pandas as pd
import pytest
from figure_overlaps import overlaps
from result_tables import made_tables

from finecal import figures, registry
from finecal.figures._style import style

MINE = ("source_gap", "pcv_scaled", "pcv_combined", "midpoint", "calibrated_stacking")


def with_gammas(frames: dict[str, pd.DataFrame], place: tuple[float, float]) -> dict[str, pd.DataFrame]:
    """The tables with further methods that are one γ, all of them at nearly the same place of the curve."""
    alg = {name: frames[name][frames[name]["calibrator"] == "alg"] for name in ("metrics", "calibration")}
    found = {name: [frames[name]] for name in alg}
    for step, name in enumerate(MINE):
        metrics = alg["metrics"].assign(calibrator=name)
        for metric, value in zip(("acc_s_y", "acc_u_y"), place, strict=True):
            metrics.loc[metrics["metric"] == metric, "value"] = value + 0.002 * step
        found["metrics"].append(metrics)
        found["calibration"].append(alg["calibration"].assign(calibrator=name))
    return {**frames, **{name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}}


@pytest.mark.parametrize("name", registry.names("figure"))
def test_no_words_lie_on_an_axis(name: str) -> None:
    with style():
        assert overlaps(figures.draw(name, made_tables())[0]) == []


@pytest.mark.parametrize("place", [(0.9, 0.6), (0.02, 0.95), (0.95, 0.01), (0.01, 0.01)])
def test_the_curve_shows_every_gamma(place: tuple[float, float]) -> None:
    figure, data = figures.draw("curve", with_gammas(made_tables(), place))
    points = data[(data["element"] == "point") & (data["classifier"] == "fine_tuned")]
    assert set(points["calibrator"]) == {"none", "alg", "pcv", "oracle", *MINE}
    with style():
        assert overlaps(figure) == []
    words = {text.get_text() for ax in figure.axes for text in ax.texts}
    assert {"source gap", "γ* (upper bound)", "PCV–source gap midpoint"} <= words
