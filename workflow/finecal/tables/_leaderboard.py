"""Rank methods by their means over the runs that all of them have: for the table and the figure.

A board ranks the methods of one data set, task and backbone on the runs (split, seed) that all of them have. Methods
with equal means share the better rank. On the board of all settings together, a method's score is the mean of its means
on the single boards; only methods that are on every board take part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from finecal import display
from finecal.analysis.intervals import NAN, NO_RUNS, UNKNOWN, Runs, mean_of, runs_by
from finecal.paths import CELL_KEYS, SETTING_KEYS
from finecal.tables._methods import CLASSIFIERS
from finecal.tables._ranks import over_boards, ranks

# Methods of a board are compared with each other. Its keys are those of a setting without the recipe, which is a part
# of a method: the columns that name an entry of the board.
BOARD_KEYS = list(SETTING_KEYS[:3])
ENTRY_KEYS = ["recipe", "classifier", "calibrator", "reads"]
ALL = "all settings"
RANKED_BY = "acc_y_y"
Method = tuple[str, ...]

# Metric → title, scale, digits.
TITLES = {
    "acc_y_y": ("all classes", 100, 1),
    "acc_s_y": ("S", 100, 1),
    "acc_u_y": ("U", 100, 1),
    "harmonic_mean": ("harmonic mean", 100, 1),
    "ausuc": ("AUSUC", 1, 3),
    "ece": ("ECE", 100, 1),
    "nll": ("NLL", 1, 2),
}


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return one row per board, method and metric; on each board by rank, then the pretrained model, then upper bounds.

    Columns: dataset, task, backbone ("all settings" for all together, which come first if there are several), recipe
    (empty for the pretrained model), classifier, calibrator, reads, upper_bound; rank, rank_low, rank_high by
    acc_y_y, NaN for what is not ranked or without runs in common; metric, mean, low, high, n_runs, n_samples.
    """
    parts = [common_runs(part) for _, part in entries(metrics).groupby(BOARD_KEYS, sort=False)]
    boards = [board([part]).assign(**part[BOARD_KEYS].iloc[0]) for part in parts]
    if len(parts) > 1:
        boards = [board(parts).assign(**dict.fromkeys(BOARD_KEYS, ALL)), *boards]
    tidy = pd.concat(boards, ignore_index=True)
    order = ["rank", "rank_low", "rank_high", "metric", "mean", "low", "high", "n_runs", "n_samples"]
    return tidy[[*BOARD_KEYS, *ENTRY_KEYS, "upper_bound", *order]]


def entries(metrics: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of the leaderboard's metrics; the pretrained model once for all recipes, with an empty recipe."""
    chosen = metrics[metrics["metric"].isin(list(TITLES)) & metrics["classifier"].isin(CLASSIFIERS)].copy()
    before = chosen["classifier"] == "pretrained"
    chosen.loc[before, "recipe"] = ""
    return chosen[~(before & chosen.duplicated([*BOARD_KEYS, *ENTRY_KEYS, *CELL_KEYS, "metric"]))]


def common_runs(part: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of a board in the runs that all its methods have; all rows if there is no such run."""
    runs = part[part["metric"] == RANKED_BY].pivot_table(
        index=list(CELL_KEYS), columns=ENTRY_KEYS, values="value", sort=False
    )
    shared = runs.index[runs.notna().all(axis=1)]
    in_shared = pd.MultiIndex.from_frame(part[list(CELL_KEYS)]).isin(shared)
    return part[in_shared] if len(shared) else part


def board(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Rank the methods that all parts (boards) have; one row per method and metric, without `BOARD_KEYS`."""
    there = [set(part[ENTRY_KEYS].itertuples(index=False, name=None)) for part in parts]
    appear = dict.fromkeys(parts[0][ENTRY_KEYS].itertuples(index=False, name=None))
    methods = [method for method in appear if all(method in found for found in there)]
    bounds = [classifier == "oracle_fine_tuning" or display.reads_test(reads) for _, classifier, _, reads in methods]
    ranked = [m for m, bound in zip(methods, bounds, strict=True) if not bound and m[1] == "fine_tuned"]
    by_metric = {metric: [_runs(part, metric, methods) for part in parts] for metric in TITLES}
    scored = [[found.get(method, NO_RUNS) for method in ranked] for found in by_metric[RANKED_BY]]
    places = dict(zip(ranked, ranks(scored), strict=True)) if ranked else {}
    rows: list[dict[str, Any]] = []
    for metric, boards in by_metric.items():
        for method, bound in zip(methods, bounds, strict=True):
            runs = [found[method] for found in boards if method in found]
            mean = over_boards([mean_of(one) for one in runs]) if runs else UNKNOWN
            rows.append(
                {
                    **dict(zip(ENTRY_KEYS, method, strict=True)), "upper_bound": bound,
                    **dict(zip(("rank", "rank_low", "rank_high"), places.get(method, (NAN,) * 3), strict=True)),
                    "metric": metric, **dict(zip(("mean", "low", "high", "n_runs"), mean, strict=True)),
                    "n_samples": round(sum(one.n for one in runs) / len(parts)),
                }
            )  # fmt: skip
    tidy = pd.DataFrame(rows)
    score = tidy[tidy["metric"] == RANKED_BY].set_index(ENTRY_KEYS)["mean"]
    order = tidy.assign(
        group=np.select([tidy["upper_bound"], tidy["classifier"] == "pretrained"], [2, 1], 0),
        score=[-score[tuple(row)] for row in tidy[ENTRY_KEYS].itertuples(index=False)],
        method=[methods.index(tuple(row)) for row in tidy[ENTRY_KEYS].itertuples(index=False)],
    )  # rows of a method keep the order of the metrics
    return tidy.loc[order.sort_values(["group", "rank", "score", "method"], kind="stable").index]


def _runs(part: pd.DataFrame, metric: str, methods: Sequence[Method]) -> dict[Method, Runs]:
    """Return the values of a metric of those methods that have it."""
    found = runs_by(part[part["metric"] == metric], ENTRY_KEYS)
    return {method: found[method] for method in methods if method in found}


def method(recipe: str, classifier: str, calibrator: str, *, with_recipe: bool) -> str:
    """Return a method in words, with its recipe where there are several."""
    words = display.method(classifier, calibrator)
    if not with_recipe or not recipe:
        return words
    return words.replace("fine-tuned", recipe, 1) if classifier == "fine_tuned" else f"{words}, {recipe}"
