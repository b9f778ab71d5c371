"""A linear against a cosine classifier as the last layer.
AUSUC per test sample, and accuracy of the test samples of absent classes U among all classes by the network's own head
and by the nearest class mean of its features (NCM), before (hollow, above) and after fine-tuning (filled, below). Marks
are means over runs with 95 % intervals.

A1 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from finecal.figures import _compare
from finecal.paths import SETTING_KEYS

AXIS = "head"
NEEDS = ("metrics", "runs")
ABSENT = True


def draw(metrics: pd.DataFrame, runs: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with the numbers of `_compare.numbers`."""
    data = numbers(metrics, runs)
    return _compare.draw(data), data


def numbers(metrics: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers of `_compare.numbers` with the columns head and model.

    Models with one kind of head are left out if others have both.
    """
    keys = list(SETTING_KEYS)
    data = _compare.numbers(metrics, "backbone").merge(runs[[*keys, "model", "head"]].drop_duplicates(), on=keys)
    heads = data.groupby(["dataset", "task", "recipe", "model"], sort=False)["head"].transform("nunique")
    return data[heads > 1].reset_index(drop=True) if (heads > 1).any() else data
