"""Rank methods by their means over the runs that all of them have: for the table and the figure.

A board ranks the methods of one data set, task and backbone on the runs (split, seed) that all of them have. Methods
with equal means share the better rank. On the board of all settings together, a method's score is the mean of its means
on the single boards, and runs are drawn within each board; only methods that are on every board take part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finecal import display
from finecal.analysis.statistics import CONFIDENCE, NAN, RESAMPLES, weights
from finecal.paths import CELL_KEYS, SETTING_KEYS
from finecal.tables._methods import CLASSIFIERS

# Methods of a board are compared with each other. Its keys are those of a setting without the recipe, which is a part
# of a method: the columns that name an entry of the board.
BOARD_KEYS = list(SETTING_KEYS[:3])
ENTRY_KEYS = ["recipe", "classifier", "calibrator", "reads"]
ALL = "all settings"
RANKED_BY = "acc_y_y"
DECIMALS = 12  # means that differ only by rounding errors are equal

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
    """Return one row per board, method and metric; on each board by rank, then methods with a number set by hand, the
    pretrained model, and upper bounds.

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
    ranked = [m for m, bound in zip(methods, bounds, strict=True) if not bound and m[1] == "fine_tuned"
              and display.ranked(m[3])]  # fmt: skip
    ranks = dict(zip(ranked, rank([values(part, RANKED_BY, ranked) for part in parts]), strict=True))
    rows: list[dict[str, Any]] = []
    for metric in TITLES:
        stacked = [values(part, metric, methods) for part in parts]
        samples = [part[part["metric"] == metric].groupby(ENTRY_KEYS)["n"].mean() for part in parts]
        for position, (method, mean) in enumerate(zip(methods, means(stacked), strict=True)):
            place = ranks.get(method, (NAN,) * 3)
            n_runs = sum(int((~np.isnan(one[:, position])).sum()) for one in stacked)
            n = sum(float(found.get(method, 0)) for found in samples) / len(parts)
            rows.append(
                {
                    **dict(zip(ENTRY_KEYS, method, strict=True)), "upper_bound": bounds[position],
                    **dict(zip(("rank", "rank_low", "rank_high"), place, strict=True)),
                    "metric": metric, **dict(zip(("mean", "low", "high"), mean, strict=True)),
                    "n_runs": n_runs, "n_samples": round(n),
                }
            )  # fmt: skip
    tidy = pd.DataFrame(rows)
    score = tidy[tidy["metric"] == RANKED_BY].set_index(ENTRY_KEYS)["mean"]
    order = tidy.assign(
        group=np.select(
            [tidy["upper_bound"], tidy["classifier"] == "pretrained", tidy["reads"].map(display.set_by_hand)],
            [3, 2, 1],
            0,
        ),
        score=[-score[tuple(row)] for row in tidy[ENTRY_KEYS].itertuples(index=False)],
        method=[methods.index(tuple(row)) for row in tidy[ENTRY_KEYS].itertuples(index=False)],
    )  # rows of a method keep the order of the metrics
    return tidy.loc[order.sort_values(["group", "rank", "score", "method"], kind="stable").index]


def values(part: pd.DataFrame, metric: str, methods: Sequence[tuple[str, ...]]) -> npt.NDArray[np.float64]:
    """Return the (runs, methods) values of a metric, runs sorted; NaN where a method does not have a run."""
    chosen = part[part["metric"] == metric]
    table = chosen.pivot_table(index=list(CELL_KEYS), columns=ENTRY_KEYS, values="value", dropna=False)
    return table.reindex(columns=pd.MultiIndex.from_tuples(methods, names=ENTRY_KEYS)).to_numpy(np.float64)


def means(stacked: Sequence[npt.NDArray[np.float64]]) -> list[tuple[float, float, float]]:
    """Return mean, low and high of each method from (runs, methods) per board; no interval if a board has one run."""
    mean = np.mean([_present_mean(one) for one in stacked], axis=0)
    drawn = redraw(stacked)
    if drawn is None:
        return [(float(value), NAN, NAN) for value in mean]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return [(float(m), float(a), float(b)) for m, a, b in zip(mean, low, high, strict=True)]


def _present_mean(one: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the (methods,) means of the values that are not NaN; NaN where there is none."""
    count = (~np.isnan(one)).sum(axis=0)
    found = np.full(one.shape[1], NAN)
    np.divide(np.nansum(one, axis=0), count, out=found, where=count > 0)
    return found


def rank(stacked: Sequence[npt.NDArray[np.float64]]) -> list[tuple[float, float, float]]:
    """Return the rank of each method's mean, 1 for the highest, and the middle 95 % of its ranks over redrawn runs.

    All NaN if the methods have no run in common; the interval is NaN if a board has only one run.

    >>> rank([np.array([[0.5, 0.75, 0.5], [0.5, 0.75, 1.0]])])
    [(3.0, 2.0, 3.0), (1.0, 1.0, 2.0), (1.0, 1.0, 2.0)]
    """
    count = stacked[0].shape[1]
    if not count or any(np.isnan(one).any() for one in stacked):
        return [(NAN, NAN, NAN)] * count
    place = ranks_of(np.mean([one.mean(axis=0) for one in stacked], axis=0)[None])[0]
    drawn = redraw(stacked)
    if drawn is None:
        return [(float(value), NAN, NAN) for value in place]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ranks_of(drawn), [tail, 1 - tail], axis=0, method="inverted_cdf")
    return [(float(m), float(a), float(b)) for m, a, b in zip(place, low, high, strict=True)]


def ranks_of(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the (K, methods) ranks in each row of scores: 1 + the number of methods with a higher score.

    >>> ranks_of(np.array([[0.5, 0.7, 0.5, 0.1]]))
    array([[2, 1, 2, 4]])
    """
    rounded = scores.round(DECIMALS)
    higher = [(rounded > rounded[:, [one]]).sum(axis=1) for one in range(rounded.shape[1])]
    found: npt.NDArray[np.int64] = 1 + np.stack(higher, axis=1)
    return found


def redraw(stacked: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64] | None:
    """Return (resamples, methods) means over runs drawn with replacement within each board; None if one has one run."""
    if any(len(one) < 2 for one in stacked):
        return None
    strata = range(1, len(stacked) + 1) if len(stacked) > 1 else (None,)
    drawn = [
        weights(len(one), RESAMPLES, *(() if stratum is None else (stratum,))) @ one
        for one, stratum in zip(stacked, strata, strict=True)
    ]
    mean: npt.NDArray[np.float64] = np.mean(drawn, axis=0)
    return mean


def method(recipe: str, classifier: str, calibrator: str, *, with_recipe: bool) -> str:
    """Return a method in words, with its recipe where there are several."""
    words = display.method(classifier, calibrator)
    if not with_recipe or not recipe:
        return words
    return words.replace("fine-tuned", recipe, 1) if classifier == "fine_tuned" else f"{words}, {recipe}"
