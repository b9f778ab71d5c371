"""Runs → mean, interval, paired difference to plain fine-tuning.

A run is a cell (split, seed). The bootstrap draws runs with replacement, so its interval speaks of other splits
and seeds like these, and is too narrow where there are only a few: n stands beside every number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from finecal.errors import UserError
from finecal.paths import CELL_KEYS, SETTING_KEYS
from finecal.seeds import generator

RESAMPLES = 10_000
CONFIDENCE = 0.95
METHOD = ("classifier", "calibrator", "reads")
NAN = float("nan")


class Interval(NamedTuple):
    """A mean over n runs, or over n samples, with its 95 % interval; `low` and `high` are NaN where there is none."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there is an interval: one run says nothing about another, only its samples about other samples."""
        return not math.isnan(self.low)


@lru_cache(maxsize=16)
def weights(n: int, resamples: int, *stratum: int) -> npt.NDArray[np.float64]:
    """(resamples, n) how often each run was drawn, over n: the same draws for every result with n runs.

    Results that are averaged over strata draw the runs of each stratum for themselves: its number is `stratum`.
    """
    counts = generator("bootstrap", n, resamples, *stratum).multinomial(n, np.full(n, 1 / n), size=resamples)
    return counts / n


def bootstrap_interval(
    values: npt.ArrayLike, *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> Interval:
    """Percentile bootstrap (Efron 1979) of the mean of one value per run; NaN values are left out.

    >>> bootstrap_interval([0.25, 0.5, 0.75])
    Interval(mean=0.5, low=0.25, high=0.75, n=3)
    >>> bootstrap_interval([0.2]), bootstrap_interval([0.2]).known
    (Interval(mean=0.2, low=nan, high=nan, n=1), False)
    """
    x = np.asarray(values, np.float64).ravel()
    x = x[~np.isnan(x)]
    if x.size < 2:
        return Interval(float(x[0]) if x.size else NAN, NAN, NAN, int(x.size))
    tail = (1 - confidence) / 2
    low, high = np.quantile(weights(x.size, resamples) @ x, [tail, 1 - tail])
    # Sums of rounded weights may leave the range of the values by an ulp.
    low, high = np.clip([low, high], x.min(), x.max())
    return Interval(float(x.mean()), float(low), float(high), int(x.size))


def paired_interval(difference: npt.NDArray[np.int_]) -> Interval:
    """Mean of (n,) differences −1, 0 or 1, one per sample, with the percentile bootstrap over samples.

    Drawing n samples with replacement is drawing the counts of the three values from a multinomial distribution, which
    takes no memory in n.

    >>> paired_interval(np.array([1, 1, 0, -1]))
    Interval(mean=0.25, low=-0.5, high=1.0, n=4)
    """
    n = len(difference)
    if n < 2:
        return Interval(float(difference.mean()) if n else NAN, NAN, NAN, n)
    shares = [np.mean(difference == value) for value in (-1, 0, 1)]
    counts = generator("paired", n).multinomial(n, shares, size=RESAMPLES)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile((counts[:, 2] - counts[:, 0]) / n, [tail, 1 - tail])
    return Interval(float(difference.mean()), float(low), float(high), n)


def intervals(frame: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """`bootstrap_interval` of a column per group: columns `by`, mean, low, high, n_runs; groups as they appear.

    `frame` has one row per group, split and seed.
    """
    ordered = frame.sort_values(list(CELL_KEYS), kind="stable")  # the numbers do not depend on the order of rows
    found = {
        key if isinstance(key, tuple) else (key,): bootstrap_interval(values.to_numpy())
        for key, values in ordered.groupby(list(by), sort=False)[value]
    }
    keys = frame[list(by)].drop_duplicates().itertuples(index=False, name=None)
    rows = [(*key, *found[key]) for key in keys]
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "n_runs"])


def gains(metrics: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Fine-tuned minus pretrained per run: coordinates, metric, before, after, gain, n (samples).

    A run without one of the two is left out.
    """
    keys = [*SETTING_KEYS, *CELL_KEYS, "metric"]
    plain = metrics[(metrics["calibrator"] == "none") & metrics["metric"].isin(list(names))]
    before = plain[plain["classifier"] == "pretrained"][[*keys, "value"]].rename(columns={"value": "before"})
    after = plain[plain["classifier"] == "fine_tuned"][[*keys, "value", "n"]].rename(columns={"value": "after"})
    both = after.merge(before, on=keys, validate="one_to_one")
    both["gain"] = both["after"] - both["before"]
    return both[[*keys, "before", "after", "gain", "n"]].dropna(subset="gain").reset_index(drop=True)


def summarise(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per setting, method and metric.

    Columns: dataset, task, backbone, recipe, classifier, calibrator, reads, metric; mean, low, high over n_runs
    runs; n_samples, test samples per run (rounded mean over the runs); difference, difference_low,
    difference_high over n_pairs runs: the method minus the fine-tuned model without calibrator, in the same
    setting, split and seed. Values that are NaN are left out and not counted.

    Parameters
    ----------
    metrics
        The aggregated metrics, one row per run, method and metric.

    Raises
    ------
    UserError
        If a run has two values for the same thing.
    """
    what = [*SETTING_KEYS, *METHOD, "metric"]
    twice = metrics.duplicated([*what, *CELL_KEYS])
    if twice.any():
        row = metrics[twice].iloc[0]
        raise UserError(
            f"{row['metric']} of {row['classifier']} / {row['calibrator']} is there twice",
            where="/".join(str(row[name]) for name in (*SETTING_KEYS, *CELL_KEYS)),
            hint="Every run may be aggregated once",
        )
    plain = metrics[(metrics["classifier"] == "fine_tuned") & (metrics["calibrator"] == "none")]
    keys = [*SETTING_KEYS, *CELL_KEYS, "metric"]
    paired = metrics.merge(plain[[*keys, "value"]].rename(columns={"value": "plain"}), how="left", on=keys)
    paired["difference"] = paired["value"] - paired["plain"]
    summary = intervals(paired, what, "value")
    differences = intervals(paired, what, "difference").rename(
        columns={"mean": "difference", "low": "difference_low", "high": "difference_high", "n_runs": "n_pairs"}
    )
    samples = paired[paired["value"].notna()].groupby(what, sort=False)["n"].mean().round().rename("n_samples")
    summary = summary.merge(samples.reset_index(), how="left", on=what).merge(differences, on=what)
    summary["n_samples"] = summary["n_samples"].fillna(0).astype("int64")
    order = ["mean", "low", "high", "n_runs", "n_samples", "difference", "difference_low", "difference_high", "n_pairs"]
    return summary[[*what, *order]]


def with_absent(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of an aggregated table of the runs that have test samples of absent classes."""
    if "metric" in frame:
        known = frame[(frame["metric"] == "acc_u_y") & frame["value"].notna()]
        run = [*SETTING_KEYS, *CELL_KEYS]
        return frame[pd.MultiIndex.from_frame(frame[run]).isin(pd.MultiIndex.from_frame(known[run]))]
    return frame[frame["acc_u_y"].notna()] if "acc_u_y" in frame else frame


def of_setting(frame: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """The rows of one (dataset, task, backbone, recipe)."""
    same = [(frame[name] == value).to_numpy() for name, value in zip(SETTING_KEYS, key, strict=True)]
    return frame[np.logical_and.reduce(same)]


def row_of(summary: pd.DataFrame, metric: str, classifier: str, calibrator: str = "none") -> Any:
    """The row of a method and a metric in the summary of one setting, or None."""
    chosen = (summary["metric"] == metric) & (summary["classifier"] == classifier)
    rows = summary[chosen & (summary["calibrator"] == calibrator)]
    return rows.iloc[0] if len(rows) else None


def paired_difference(row: Any) -> Interval:
    """The difference to plain fine-tuning in a row of the summary."""
    low, high = float(row["difference_low"]), float(row["difference_high"])
    return Interval(float(row["difference"]), low, high, int(row["n_pairs"]))
