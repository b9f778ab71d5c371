"""The numbers of the figures that compare sizes of S, optimisers, heads, recipes and models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from result_tables import made_metrics, made_runs
from scipy.stats import t

from finecal import figures
from finecal.analysis.spread import wilson
from finecal.figures import _style, class_size, heads, optimizers

# made_metrics: fine-tuned AUSUC is 0.75 on average over split a (−0.01, +0.01) as over split b (−0.02, +0.02).


def test_sizes_are_points_of_one_line() -> None:
    runs = made_runs()
    runs.loc[runs["split"] == "b", "split_kind"] = "clustered"
    data = class_size.numbers(made_metrics(), runs)
    area = data[data["metric"] == "ausuc"].set_index("split_kind")
    assert dict(area["n_fine_tuning"]) == {"random": 5, "clustered": 3}
    assert dict(area["n_absent"]) == {"random": 5, "clustered": 7}
    for kind, apart in (("random", 0.01), ("clustered", 0.02)):  # one split of two seeds each
        half = np.hypot(t.ppf(0.975, 1) * apart, t.ppf(0.975, 99) * 0.005)
        expected = [0.75, *wilson(0.75, half, 9000, 0.95)]
        assert area.loc[kind, ["mean", "low", "high"]].tolist() == pytest.approx(expected, abs=1e-4)
    assert set(area["n_runs"]) == {2}


def test_accuracies_are_those_with_the_gamma_of_alg() -> None:
    metrics, runs = made_metrics(), made_runs()
    data = class_size.numbers(metrics, runs)
    found = data[data["metric"] == "acc_u_y"]
    assert set(found["calibrator"]) == {"alg"}
    assert found["mean"].tolist() == pytest.approx([46.0, 46.0])
    without = class_size.numbers(metrics[metrics["calibrator"] != "alg"], runs)
    assert set(without.loc[without["metric"] == "acc_s_y", "calibrator"]) == {"oracle"}
    plain = class_size.numbers(metrics[metrics["calibrator"] == "none"], runs)
    assert plain.loc[plain["metric"] == "acc_s_y", "mean"].tolist() == pytest.approx([95.0, 95.0])


def test_settings_of_one_size_are_left_out() -> None:
    metrics = pd.concat([made_metrics(), made_metrics([("a", 0), ("a", 1)], recipe="other")])
    runs = pd.concat([made_runs(), made_runs([("a", 0), ("a", 1)], recipe="other")])
    assert set(class_size.numbers(metrics, runs)["recipe"]) == {"full"}


def grid(values: dict[tuple[str, float, float], float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics and runs of one recipe per (optimiser, learning rate, weight decay), with this AUSUC."""
    metrics, runs = [], []
    for number, ((optimizer, lr, decay), value) in enumerate(values.items()):
        name = f"r{number}"
        metrics.append(made_metrics(changes={("fine_tuned", "none", "ausuc"): value}, recipe=name))
        runs.append(made_runs(recipe=name).assign(optimizer=optimizer, lr=lr, weight_decay=decay))
    return pd.concat(metrics, ignore_index=True), pd.concat(runs, ignore_index=True)


def test_cells_of_the_heat_maps() -> None:
    values = {("sgd", 0.1, 0.0): 0.5, ("sgd", 0.01, 0.0): 0.6, ("sgd", 0.01, 5e-4): 0.7, ("adam", 0.001, 0.0): 0.9}
    figure, data = figures.draw("optimizers", dict(zip(("metrics", "runs"), grid(values), strict=True)))
    found = data.set_index(["optimizer", "lr", "weight_decay"])["mean"]
    assert {key: round(value, 9) for key, value in found.items()} == values
    assert set(data["n_runs"]) == {4}
    sgd, adam = [ax for ax in figure.axes if ax.get_title("left")]
    assert (sgd.get_title("left"), adam.get_title("left")) == ("SGD", "Adam")
    assert sorted(text.get_text() for text in sgd.texts) == ["50", "60", "70", "–"]
    assert [tick.get_text() for tick in sgd.get_yticklabels()] == ["0.1", "0.01"]  # the highest above
    for ax in (sgd, adam):
        assert ax.images[0].get_clim() == pytest.approx((0.5, 0.9))


def test_cells_are_means_over_the_same_runs() -> None:
    """A recipe that another study runs on other splits does not stand beside the grid."""
    metrics, runs = grid({("sgd", 0.1, 0.0): 0.5, ("sgd", 0.01, 0.0): 0.6})
    stray, what = grid({("sgd", 0.5, 0.0): 0.9})
    stray, what = (frame.assign(recipe="stray", split=frame["split"] + "2") for frame in (stray, what))
    data = optimizers.numbers(pd.concat([metrics, stray]), pd.concat([runs, what]))
    assert set(data["lr"]) == {0.1, 0.01}


def test_heads_of_one_model_are_compared() -> None:
    parts = [("linear", "resnet10t", "linear"), ("cosine", "resnet10t", "cosine"), ("other", "resnet18", "linear")]
    metrics = pd.concat([made_metrics(backbone=name) for name, _, _ in parts])
    runs = pd.concat([made_runs(backbone=name).assign(model=model, head=head) for name, model, head in parts])
    data = heads.numbers(metrics, runs)
    assert set(zip(data["backbone"], data["head"], strict=True)) == {("linear", "linear"), ("cosine", "cosine")}
    area = data[(data["metric"] == "ausuc") & (data["backbone"] == "cosine")].set_index("stage")["mean"]
    assert dict(area) == {"before": pytest.approx(0.5), "after": pytest.approx(0.75)}


@pytest.mark.parametrize(("name", "column"), [("frozen", "recipe"), ("backbones", "backbone"), ("heads", "backbone")])
def test_rows_are_called_by_what_differs(name: str, column: str) -> None:
    tables = {
        "metrics": pd.concat([made_metrics(**{column: value}) for value in ("full", "linear_probe")]),
        "runs": pd.concat([made_runs(**{column: value}) for value in ("full", "linear_probe")]),
    }
    figure, data = figures.draw(name, tables)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["full", "linear probe"]
    assert set(data["metric"]) == {"ausuc", "acc_u_y", "ncm_acc_u_y"}
    colors = {line.get_color() for line in figure.axes[1].lines if line.get_marker() == _style.U.marker}
    assert colors == {_style.U.color}


def test_settings_with_nothing_beside_them_are_left_out() -> None:
    """Of two studies drawn together only that with several recipes is in the figure of recipes."""
    recipes = [{"recipe": "full"}, {"recipe": "linear_probe"}]
    names = [*recipes, {"recipe": "full", "backbone": "other"}]
    metrics = pd.concat([made_metrics(**name) for name in names])
    _, data = figures.draw("frozen", {"metrics": metrics})
    assert set(zip(data["backbone"], data["recipe"], strict=True)) == {
        ("resnet10t", "full"),
        ("resnet10t", "linear_probe"),
    }
    _, data = figures.draw("backbones", {"metrics": metrics})
    assert set(zip(data["backbone"], data["recipe"], strict=True)) == {("resnet10t", "full"), ("other", "full")}
