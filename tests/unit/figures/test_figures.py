"""The figures: the numbers they draw, the files, and that they look alike."""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from result_tables import RUNS, made_tables

from finecal import figures, registry
from finecal.figures import _style
from finecal.figures._labels import spread_out
from finecal.figures.curve import mean_curve
from finecal.io import parquet

NAMES = registry.names("figure")


def chosen(data: pd.DataFrame, **values: str) -> pd.DataFrame:
    return data[np.logical_and.reduce([data[name] == value for name, value in values.items()])]


@pytest.mark.parametrize("name", NAMES)
def test_files_of_a_figure_and_equal_bytes(name: str, tmp_path: Path) -> None:
    tables = made_tables()
    for stem in ("one", "two"):
        figures.draw_and_save(name, tables, tmp_path / stem, provenance={"made": "here"})
    assert {path.suffix for path in tmp_path.iterdir()} == set(figures.SUFFIXES)
    for suffix in figures.SUFFIXES:
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()
    assert parquet.read_metadata(tmp_path / "one.parquet") == {"made": "here"}
    svg = (tmp_path / "one.svg").read_text("utf-8")
    assert "dc:date" not in svg
    assert svg.count("<svg") == 1


@pytest.mark.parametrize("name", NAMES)
def test_one_run_and_names_that_look_like_formulas(name: str) -> None:
    runs = RUNS[:1]
    one, other = made_tables(runs, dataset="$\\bad{$_^"), made_tables(runs, dataset="<b>&", task="a_$1-b_$2")
    both = {key: pd.concat([one[key], other[key]], ignore_index=True) for key in one}
    figure, data = figures.draw(name, both)
    figure.draw_without_rendering()
    assert set(data["dataset"]) == {"$\\bad{$_^", "<b>&"}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_smaller_than_seven_points_or_outside(name: str) -> None:
    figure, _ = figures.draw(name, made_tables())
    figure.draw_without_rendering()
    assert min(text.get_fontsize() for text in figure.findobj(mpl.text.Text) if text.get_text().strip()) >= 7
    drawn, page = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= page.x1
    assert drawn.y1 <= page.y1
    assert page.width <= _style.DOUBLE


@pytest.mark.parametrize("name", ["gain", "anatomy"])
def test_groups_have_the_same_colours_and_different_marks(name: str) -> None:
    figure, _ = figures.draw(name, made_tables())
    lines = [line for line in figure.findobj(mpl.lines.Line2D) if line.get_marker() in ("o", "D")]
    looks = {(to_hex(line.get_color()).upper(), line.get_marker()) for line in lines}
    assert looks == {(look.color.upper(), look.marker) for look in _style.GROUPS.values()}


def test_captions_and_needs_are_read_without_importing() -> None:
    for name in NAMES:
        assert figures.caption(name).endswith(".")
        assert set(figures.needs(name)) <= set(made_tables())
    assert figures.needs("curve") == ("curve", "metrics", "calibration")


def test_settings_outside_stay_as_they_were() -> None:
    before = dict(mpl.rcParams)
    figures.draw("gain", made_tables())
    assert dict(mpl.rcParams) == before


def test_gain_in_points() -> None:
    _, data = figures.draw("gain", made_tables())
    means = data[data["element"] == "mean"].set_index("metric")
    expected = {"acc_s_y": 35, "acc_u_y": -40, "ncm_acc_s_y": 6, "ncm_acc_u_y": 2}
    assert means["gain"].to_dict() == pytest.approx(expected)
    assert list(means["n_runs"]) == [4] * 4
    assert (means["low"] < means["gain"]).all()
    runs = chosen(data, element="run", metric="acc_u_y")
    assert list(runs["gain"]) == pytest.approx([-40.5, -39.5, -41, -39])


def test_relations_in_percent() -> None:
    _, data = figures.draw("relations", made_tables())
    means = data[data["element"] == "mean"].set_index("stage")["value"]
    assert means.to_dict() == pytest.approx({"before": 80, "after": 80, "gain": 0})


def test_curve_has_runs_means_and_points() -> None:
    _, data = figures.draw("curve", made_tables())
    assert len(chosen(data, element="run", classifier="fine_tuned")) == 4 * 21
    mean = chosen(data, element="mean", classifier="fine_tuned")
    radius = np.hypot(mean["acc_s_y"], mean["acc_u_y"])
    assert radius.to_numpy() == pytest.approx(95, abs=0.3)  # chords of a circle
    points = chosen(data, element="point").set_index("calibrator")
    assert list(points.index) == ["none", "none", "oracle", "alg", "pcv"]
    assert points.loc["alg", ["acc_s_y", "acc_u_y"]].to_list() == pytest.approx([93, 46])


def test_curve_without_a_pretrained_model() -> None:
    tables = {
        name: table[table["classifier"] == "fine_tuned"] if "classifier" in table else table
        for name, table in made_tables().items()
        if name in ("curve", "metrics", "calibration")
    }
    _, data = figures.draw("curve", tables)
    assert set(data["classifier"]) == {"fine_tuned"}


def test_mean_of_curves_along_rays() -> None:
    square = np.array([[1.0, 0], [1, 1], [0, 1]])
    assert mean_curve([square]) == pytest.approx(mean_curve([square, square]))
    mean = mean_curve([square, 0.5 * square])
    assert mean[0] == pytest.approx([0.75, 0])
    assert mean[90] == pytest.approx([0.75, 0.75])  # the corner stays a corner
    assert mean[-1] == pytest.approx([0, 0.75])
    assert mean_curve([np.zeros((2, 2))]) == pytest.approx(np.zeros((181, 2)))  # a model that is never right


@pytest.mark.parametrize("missing", ["fine_tuning_largest_fine_tuning", "absent_largest_absent"])
def test_anatomy_with_one_class_in_a_group_is_drawn(tmp_path: Path, missing: str) -> None:
    """Its line, the largest of the other classes of that group, is left out."""
    tables = made_tables()
    tables["history"][missing] = np.nan
    figure, _ = figures.draw("anatomy", tables)
    figure.savefig(tmp_path / "anatomy.svg")
    lines = [len(ax.lines) for ax in figure.axes]
    assert sorted(lines) == [2, 2, 3]


def test_anatomy_means_over_runs() -> None:
    _, data = figures.draw("anatomy", made_tables())
    last = data[data["epoch"] == 4].set_index("quantity")
    assert last.loc["absent_true", "mean"] == pytest.approx(4)
    assert last.loc["absent_true", "low"] < 4 < last.loc["absent_true", "high"]
    assert last.loc["absent_largest_fine_tuning", ["low", "high"]].to_list() == [7, 7]
    assert len(data) == 8 * 5


def test_update_similarity_has_s_first() -> None:
    _, data = figures.draw("update_similarity", made_tables())
    classes = chosen(data, element="class")
    assert list(classes["name"]) == ["one", "four", "zero", "two", "three"]
    cosine = np.stack(classes["cosine"].to_list())
    assert cosine[0] == pytest.approx([1, np.nan, -0.5, -0.5, -0.5], nan_ok=True)
    assert cosine[2, 2:] == pytest.approx([1, 0.5, 0.5])
    means = chosen(data, element="mean").set_index("pairs")
    assert means["mean"].to_dict() == pytest.approx({"fine_tuning": 0.4, "absent": 0.6, "between": -0.5})
    assert list(means["n_runs"]) == [4] * 3


def test_update_similarity_draws_what_did_not_move_grey() -> None:
    figure, _ = figures.draw("update_similarity", made_tables())
    image = figure.axes[0].images[0]
    colours = image.to_rgba(image.get_array())
    assert colours[1, 0] == pytest.approx([0.6, 0.6, 0.6, 1])
    assert colours[0, 1] == pytest.approx([0.6, 0.6, 0.6, 1])
    low, high = image.get_clim()
    assert low == -high  # no cosine has the colour in the middle
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["one", "four", "zero", "two", "three"]


def test_names_of_many_classes_are_left_out() -> None:
    tables = made_tables()
    many = pd.concat([tables["update_similarity"]] * 7, ignore_index=True)
    many["class"] = range(35)
    many["cosine"] = [np.zeros(35, np.float32)] * 35
    tables["update_similarity"] = many
    tables["feature_map"] = pd.concat([tables["feature_map"]] * 2, ignore_index=True).assign(label=np.arange(80))
    figure, _ = figures.draw("update_similarity", tables)
    assert not figure.axes[0].get_xticklabels()
    assert {"S\n(14 classes)", "U\n(21 classes)"} <= {text.get_text() for text in figure.axes[0].texts}
    figure, _ = figures.draw("feature_map", tables)
    assert not figure.axes[0].texts


def test_feature_map_shows_both_stages_on_one_scale() -> None:
    tables = made_tables()
    figure, data = figures.draw("feature_map", tables)
    before, after = figure.axes
    assert before.get_xlim() == after.get_xlim()
    assert before.get_ylim() == after.get_ylim()
    assert {text.get_text() for text in before.texts} == {f"class {number}" for number in range(4)}
    assert "20 test samples" in before.get_title("left")
    pd.testing.assert_frame_equal(data, tables["feature_map"], check_dtype=False)
    marks = [len(drawn.get_offsets()) for drawn in after.collections]
    assert marks == [10, 10]
    shapes = [drawn.get_paths()[0].vertices.shape for drawn in after.collections]
    assert shapes[0] != shapes[1]  # told apart without colours


def test_decision_regions_and_their_accuracies() -> None:
    figure, data = figures.draw("decision_regions", made_tables())
    titles = [ax.get_title("left") for ax in figure.axes]
    assert titles == [
        "printed → handwritten, a, seed 0 (3 test samples)\nPretrained\nS 60 % · U 64 %",
        "\nFine-tuned\nS 94 % · U 23 %",  # of this run, not the mean
        "\nFine-tuned + ALG\nS 92 % · U 45 %",
    ]
    assert data["element"].value_counts().to_dict() == {"region": 3 * 81, "accuracy": 6, "sample": 3}
    before, after, _ = (ax.images[0].get_array() for ax in figure.axes)
    assert np.array_equal(before[0], [0, 0, 0, 0, 0, 1, 1, 1, 1])  # from left to right, lowest row first
    assert not after.any()
    assert len(figure.axes[2].collections) == len(figure.axes[1].collections) + 1  # the line between S and U


def test_cost_medians_and_totals() -> None:
    _, data = figures.draw("cost", made_tables())
    wall = data[data["quantity"] == "wall_seconds"].set_index(["stage", "element"])["value"]
    assert wall["finetune", "median"] == 250
    assert wall["finetune", "total"] == 1000
    assert wall["finetune", "job"].to_list() == [100, 200, 300, 400]
    assert np.isnan(wall["pretrain", "total"])  # not measured is not nothing
    assert set(data["element"][data["quantity"] != "wall_seconds"]) == {"median", "job"}


def test_cost_without_any_measurement() -> None:
    """Results that were copied without their benchmark files."""
    tables = made_tables()
    measured = ["wall_seconds", "cpu_seconds", "peak_memory_mib", "own_memory_mib", "peak_gpu_memory_mib"]
    tables["cost"][measured] = np.nan
    figure, _ = figures.draw("cost", tables)
    figure.draw_without_rendering()
    legends = [text.get_text() for ax in figure.axes for text in ax.get_legend().get_texts()]
    assert legends == [f"{name} not measured" for name in ("wall time", "CPU time", "main memory", "GPU memory")]


def test_labels_are_spread_in_order() -> None:
    sizes = np.full(4, 0.1)
    placed = spread_out([0.5, 0.52, 0.51, 0.0], sizes)
    assert np.diff(np.sort(placed)).min() >= 0.1 - 1e-12
    assert list(np.argsort(placed)) == [3, 0, 2, 1]
    assert placed.min() >= 0.05 - 1e-12
    assert spread_out([0.2, 0.7], sizes[:2]) == pytest.approx([0.2, 0.7])


def test_fine_tuning_that_has_lost_the_fine_tuning_classes() -> None:
    """Then no label stands beside the panel of the curve."""
    tables = made_tables()
    metrics = tables["metrics"]
    metrics.loc[(metrics["metric"] == "acc_s_y") & (metrics["classifier"] == "fine_tuned"), "value"] = 0.1
    figure, _ = figures.draw("curve", tables)
    figure.draw_without_rendering()


def test_labels_close_by_do_not_cover_each_other() -> None:
    tables = made_tables()
    metrics = tables["metrics"]
    for calibrator in ("alg", "pcv"):  # all three on the flat side of the curve
        metrics.loc[(metrics["calibrator"] == calibrator) & (metrics["metric"] == "acc_s_y"), "value"] = 0.6
        metrics.loc[(metrics["calibrator"] == calibrator) & (metrics["metric"] == "acc_u_y"), "value"] = 0.65
    figure, _ = figures.draw("curve", tables)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert {text.get_text() for text in figure.axes[0].texts} == {
        *("pretrained", "fine-tuned", "ALG", "PCV", "γ* (upper bound)"),
    }
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
