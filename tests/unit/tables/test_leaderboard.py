"""The leaderboard: ranks of known means, ties, what is compared with what, and the figure's rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from result_tables import RUNS, made_metrics

from finecal import figures
from finecal.analysis.intervals import Runs
from finecal.figures.leaderboard import with_marks
from finecal.tables import _leaderboard, leaderboard
from finecal.tables._ranks import ranks, ranks_of
from finecal.tables._text import latex


def many(recipes: Sequence[str], calibrators: Sequence[str]) -> pd.DataFrame:
    """Every recipe with every calibrator, each a little better than the one before."""
    base, frames = made_metrics(), []
    for number, recipe in enumerate(recipes):
        frames.append(
            base[(base["classifier"] != "fine_tuned") | (base["calibrator"] == "oracle")].assign(recipe=recipe)
        )
        for place, calibrator in enumerate(calibrators):
            one = base[(base["classifier"] == "fine_tuned") & (base["calibrator"] == "alg")]
            better = 0.001 * (place + number * len(calibrators))
            reads = "" if calibrator == "none" else "train_fine_tuning"
            frames.append(one.assign(recipe=recipe, calibrator=calibrator, reads=reads, value=one["value"] + better))
    return pd.concat(frames, ignore_index=True)


def of_ranking(tidy: pd.DataFrame) -> pd.DataFrame:
    return tidy[tidy["metric"] == "acc_y_y"].set_index(["dataset", "recipe", "classifier", "calibrator"])


def test_order_ranks_and_what_is_not_ranked() -> None:
    tidy = leaderboard.build(made_metrics())
    rows = of_ranking(tidy)
    assert list(rows.index.droplevel("dataset")) == [
        ("full", "fine_tuned", "pcv"), ("full", "fine_tuned", "alg"), ("full", "fine_tuned", "none"),
        ("", "pretrained", "none"), ("full", "oracle_fine_tuning", "none"), ("full", "fine_tuned", "oracle"),
    ]  # fmt: skip
    # The same wobble in every run: all differences are sure.
    assert rows[["rank", "rank_low", "rank_high"]][:3].to_numpy().tolist() == [[1, 1, 1], [2, 2, 2], [3, 3, 3]]
    assert rows["rank"][3:].isna().all()
    assert list(rows["upper_bound"]) == [False] * 4 + [True] * 2
    assert rows["mean"].to_list() == pytest.approx([0.75, 0.7, 0.6, 0.62, 0.97, 0.8])
    assert list(rows["n_runs"]) == [4, 4, 4, 1, 2, 4]  # trainings: one pretrained model, two of oracle fine-tuning


def test_ranks_by_hand() -> None:
    """Four splits; the first two methods are a point apart with a noise of a point, the third is far behind."""
    cells = [(name, 0) for name in "abcd"]
    values = ([0.50, 0.52, 0.50, 0.52], [0.52, 0.50, 0.52, 0.54], [0.1, 0.12, 0.1, 0.12])
    methods = [Runs("acc_y_y", "fine_tuned", cells, np.array(v), None, 1000) for v in values]
    assert ranks([methods]) == [(2, 1, 2), (1, 1, 2), (3, 3, 3)]
    alone = [replace(one, cells=cells[:1], values=one.values[:1]) for one in methods]
    assert [place[0] for place in ranks([alone])] == [2, 1, 3]
    assert np.isnan([place[1:] for place in ranks([alone])]).all()  # nothing says how sure that is
    apart = [methods[0], replace(methods[1], cells=[(name, 1) for name in "abcd"])]
    assert np.isnan(ranks([apart])).all()


def test_equal_means_share_the_better_rank_whatever_the_rounding() -> None:
    runs = np.array([[0.1, 0.3, 0.0], [0.2, 0.1 + 0.2 - 0.3 + 0.0, 0.0], [0.3, 0.3, 0.0]])
    runs[:, 1] = runs[::-1, 0] + 1e-17
    assert ranks_of(runs.mean(axis=0)).tolist() == [1, 1, 3]


def test_upper_bounds_do_not_push_anyone_down() -> None:
    metrics = made_metrics()
    without = metrics[(metrics["calibrator"] != "oracle") & (metrics["classifier"] != "oracle_fine_tuning")]
    kept, alone = (of_ranking(leaderboard.build(m))["rank"].dropna() for m in (metrics, without))
    pd.testing.assert_series_equal(kept, alone)


def test_methods_are_compared_on_the_runs_that_all_have() -> None:
    metrics = made_metrics()
    pcv = metrics["calibrator"] == "pcv"
    lost = metrics[~(pcv & (metrics["split"] == "b"))]
    rows = of_ranking(leaderboard.build(lost)).droplevel(["dataset", "recipe"])
    assert rows.loc[("fine_tuned", "none"), "n_runs"] == 2
    assert rows.loc[("fine_tuned", "alg"), "mean"] == pytest.approx(0.7)  # 0.69 and 0.71
    nothing = metrics[
        ~(pcv & (metrics["split"] == "b")) & ~((metrics["calibrator"] == "alg") & (metrics["split"] == "a"))
    ]
    rows = of_ranking(leaderboard.build(nothing)).droplevel(["dataset", "recipe"])
    assert rows["rank"].isna().all()
    assert rows.loc[("fine_tuned", "pcv"), "n_runs"] == 2
    assert rows.loc[("fine_tuned", "none"), "n_runs"] == 4


def test_all_settings_together() -> None:
    """ALG wins the first setting by little, PCV the second by much; a method of one setting only is left out."""
    one = made_metrics(dataset="one", changes={("fine_tuned", "alg", "acc_y_y"): 0.76})
    other = made_metrics(dataset="other")
    extra = other[other["calibrator"] == "alg"].assign(calibrator="extra")
    tidy = of_ranking(leaderboard.build(pd.concat([one, other, extra], ignore_index=True)))
    together = tidy.loc[_leaderboard.ALL].droplevel("recipe")
    assert list(together.index[:3]) == [("fine_tuned", "pcv"), ("fine_tuned", "alg"), ("fine_tuned", "none")]
    assert together.loc[("fine_tuned", "alg"), "mean"] == pytest.approx(0.73)
    assert together["n_runs"].iloc[0] == 8
    assert "extra" not in together.index.get_level_values("calibrator")
    assert tidy.loc["one"]["rank"].iloc[0] == 1
    assert tidy.loc["one"].index[0][-1] == "alg"
    first, both = tidy.loc["other"].iloc[0], together.iloc[0]
    assert both["high"] - both["low"] < first["high"] - first["low"]  # twice as many runs, drawn independently


def test_the_pretrained_model_is_there_once() -> None:
    tidy = leaderboard.build(many(["full", "lora"], ["none", "alg"]))
    assert (of_ranking(tidy).index.get_level_values("classifier") == "pretrained").sum() == 1
    shown = leaderboard.present(tidy)
    assert list(shown["method"]) == [
        "lora + ALG", "lora", "full + ALG", "full", "pretrained",
        "oracle fine-tuning, full †", "oracle fine-tuning, lora †", "full + γ* †", "lora + γ* †",
    ]  # fmt: skip
    assert list(shown["rank"][:5]) == ["1 [1, 1]", "2 [2, 2]", "3 [3, 3]", "4 [4, 4]", "–"]
    assert set(shown["NLL"]) == {"–"}  # a metric that was not computed


def test_one_run_has_intervals_over_its_samples() -> None:
    shown = leaderboard.present(leaderboard.build(made_metrics(RUNS[:1])))
    assert list(shown["rank"]) == ["1 [1, 1]", "2 [2, 2]", "3 [3, 3]", "–", "–", "–"]
    assert shown["all classes"][0] == "74.0 [73.0, 75.0]"
    unknown = leaderboard.present(leaderboard.build(made_metrics(RUNS[:1]).drop(columns="influences")))
    assert list(unknown["rank"]) == ["1", "2", "3", "–", "–", "–"]
    assert unknown["all classes"][0] == "74.0"


def test_a_long_table_may_break_between_rows() -> None:
    short, long = (
        leaderboard.present(leaderboard.build(many(r, ["none", "alg", "pcv"]))) for r in (["a"], [*"abcdefgh"])
    )
    assert r"\begin{longtable}" not in latex(short, "c", label="l")
    tex = latex(long, "c", label="l")
    assert r"\begin{table*}" not in tex
    assert tex.count(r"\caption") == 1
    assert tex.index(r"\endfirsthead") < tex.index(r"\endhead") < tex.index(r"\endfoot") < tex.index("h + PCV")
    means = [line for line in tex.splitlines() if " + PCV" in line]
    assert len(means) == 8
    assert all(line.endswith(r"\\*[-2pt]") for line in means)  # the interval stays with its mean


def test_rows_and_marks_of_the_figure() -> None:
    def rows_of(recipes: Sequence[str], calibrators: Sequence[str]) -> tuple[int, int]:
        tidy = leaderboard.build(many(recipes, calibrators))
        data = with_marks(tidy[tidy["metric"] == "acc_y_y"])
        ranked = data[~data["upper_bound"] & (data["classifier"] == "fine_tuned")]
        assert not ranked.duplicated(["row", "mark"]).any()
        return ranked["row"].nunique(), ranked["mark"].nunique()

    ten = [f"m{number}" for number in range(10)]
    assert rows_of(["full"], ten) == (10, 1)
    assert rows_of(ten, ["none", "alg"]) == (10, 2)
    assert rows_of(["full", "lora"], ten) == (10, 2)
    assert rows_of(ten, ten) == (100, 1)


@pytest.mark.parametrize(("recipes", "calibrators"), [(1, 20), (17, 5), (7, 7)])
def test_no_words_of_the_figure_touch(recipes: int, calibrators: int) -> None:
    metrics = many([f"recipe_{r}" for r in range(recipes)], [f"a_calibrator_{c}" for c in range(calibrators)])
    figure, data = figures.draw("leaderboard", {"metrics": metrics})
    figure.draw_without_rendering()
    for ax in figure.axes:
        boxes = [label.get_window_extent() for label in ax.get_yticklabels() if label.get_text()]
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))
    page, drawn = figure.bbox_inches, figure.get_tightbbox()
    assert drawn.x0 >= 0
    assert drawn.x1 <= page.x1
    assert len(data) == recipes * calibrators + 1 + 2 * recipes


def test_with_many_settings_the_figure_shows_them_together() -> None:
    metrics = pd.concat([made_metrics(dataset=name) for name in "abcd"], ignore_index=True)
    _, data = figures.draw("leaderboard", {"metrics": metrics})
    assert set(data["dataset"]) == {_leaderboard.ALL}
    _, data = figures.draw("leaderboard", {"metrics": metrics[metrics["dataset"] != "d"]})
    assert set(data["dataset"]) == {"a", "b", "c"}
