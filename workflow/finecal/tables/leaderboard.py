"""Leaderboard: fine-tuning recipes × calibrators by accuracy on all classes, means over runs [95 % interval]. Rank: 1 +
the number of methods with a higher mean [1 + those that are better beyond uncertainty, to all but those that are
worse]; such an interval holds one method's rank in 95 % of cases, not all ranks at once. Accuracies, harmonic mean and
ECE in %, NLL in nats, AUSUC (the area under the seen–unseen curve) from 0 to 1, all of the calibrated scores and per
test sample (the table macro: per class). S are the fine-tuning classes, U the absent ones, NCM the nearest class mean,
γ* the best γ for the test labels. Not ranked: ‡ methods with a number that was set by hand, to which the accuracy
belongs; the pretrained model; † upper bounds, which read test labels or train on all classes.

One board for each data set, task and backbone, and one over all of them if there are several: see
`finecal.tables._leaderboard`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from finecal import display
from finecal.tables import _leaderboard
from finecal.tables._leaderboard import BOARD_KEYS, ENTRY_KEYS, TITLES, method

NEEDS = ("metrics",)


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """Build the table, see `finecal.tables._leaderboard.build`."""
    return _leaderboard.build(metrics)


def present(tidy: pd.DataFrame) -> pd.DataFrame:
    """Return one row of texts per method."""
    with_recipe = tidy.loc[tidy["recipe"] != "", "recipe"].nunique() > 1
    rows = []
    for key, group in tidy.groupby([*BOARD_KEYS, *ENTRY_KEYS], sort=False):
        dataset, task, backbone, recipe, classifier, calibrator, reads = map(str, key)
        first: Any = group.iloc[0]
        dagger = " †" if first["upper_bound"] else " ‡" if display.set_by_hand(reads) else ""
        row = {
            "data set": dataset, "task": display.task(task), "backbone": backbone,
            "rank": display.interval(first["rank"], first["rank_low"], first["rank_high"], 1, 0),
            "method": method(recipe, classifier, calibrator, with_recipe=with_recipe) + dagger,
            "reads": "train S and U" if classifier == "oracle_fine_tuning" else display.reads(reads),
        }  # fmt: skip
        found = group.set_index("metric")
        for metric, (title, scale, digits) in TITLES.items():
            one: Any = found.loc[metric]
            row[title] = display.interval(one["mean"], one["low"], one["high"], scale, digits)
        rows.append({**row, "trainings": str(group["n_runs"].max()), "samples": str(group["n_samples"].max())})
    return pd.DataFrame(rows)
