"""Aggregated metrics → mean, interval, paired difference to plain fine-tuning, for every setting, method and metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from finecal.analysis.intervals import (
    NO_RUNS,
    UNKNOWN,
    Interval,
    Runs,
    difference_of,
    mean_of,
    runs_by,
    values_of,
)
from finecal.errors import UserError
from finecal.paths import CELL_KEYS, SETTING_KEYS

METHOD = ("classifier", "calibrator", "reads")


def intervals(frame: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Mean and interval of a column per group: columns `by`, mean, low, high, n_runs; groups as they appear.

    What scatters over the splits (over the seeds, if there is one split) makes the interval; test samples are in it
    where the frame has the column `influences` of this value (and `metric`, `classifier`, `n`), as the aggregated
    metrics do.

    Parameters
    ----------
    frame
        One row per group, split and seed.
    """
    if value == "value" and "influences" in frame:
        found = {key: mean_of(runs) for key, runs in runs_by(frame, by).items()}
    else:
        ordered = frame.sort_values(list(CELL_KEYS), kind="stable")  # the numbers do not depend on the order of rows
        found = {
            tuple(key): values_of(
                rows[value].to_numpy(float), list(rows[list(CELL_KEYS)].itertuples(index=False, name=None))
            )
            for key, rows in ordered.groupby(list(by), sort=False)
        }
    keys = frame[list(by)].drop_duplicates().itertuples(index=False, name=None)
    return pd.DataFrame([(*key, *found[key]) for key in keys], columns=[*by, "mean", "low", "high", "n_runs"])


def changes(metrics: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Before and after fine-tuning and the gain, of the runs that have both.

    Columns: setting, metric, stage (before, after, gain), mean, low, high, n_runs. The gain is paired by run and test
    sample.
    """
    plain = metrics[(metrics["calibrator"] == "none") & metrics["metric"].isin(list(names))]
    keys = [*SETTING_KEYS, "metric"]
    earlier, later = (runs_by(plain[plain["classifier"] == name], keys) for name in ("pretrained", "fine_tuned"))
    rows: list[tuple[Any, ...]] = []
    for key, after in later.items():
        before = earlier.get(key, NO_RUNS)
        there = set(before.cells)
        shared = [cell for cell in after.cells if cell in there]
        if shared:
            stages = (mean_of(before.only(shared)), mean_of(after.only(shared)), difference_of(after, before))
            rows += [(*key, name, *found) for name, found in zip(("before", "after", "gain"), stages, strict=True)]
    return pd.DataFrame(rows, columns=[*SETTING_KEYS, "metric", "stage", "mean", "low", "high", "n_runs"])


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
    trainings (the pretrained model is one); n_splits, different splits; n_samples, test samples per run (rounded mean
    over the runs); difference, difference_low, difference_high over n_pairs runs: the method minus the fine-tuned model
    without calibrator, in the same setting, split and seed. Values that are NaN are left out and not counted.

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
    _check_once(metrics, what)
    methods = runs_by(metrics, what)
    plain = {(*key[:4], key[-1]): runs for key, runs in methods.items() if key[4:6] == ("fine_tuned", "none")}
    rows = []
    for key, runs in methods.items():
        other = plain.get((*key[:4], key[-1]))
        paired = UNKNOWN if other is None else difference_of(runs, other)
        splits = len({split for split, _ in runs.cells})
        rows.append((*key, *mean_of(runs), splits, round(runs.n), *paired))
    columns = ["mean", "low", "high", "n_runs", "n_splits", "n_samples"]
    differences = ["difference", "difference_low", "difference_high", "n_pairs"]
    return pd.DataFrame(rows, columns=[*what, *columns, *differences])


def _check_once(metrics: pd.DataFrame, what: list[str]) -> None:
    twice = metrics.duplicated([*what, *CELL_KEYS])
    if twice.any():
        row = metrics[twice].iloc[0]
        raise UserError(
            f"{row['metric']} of {row['classifier']} / {row['calibrator']} is there twice",
            where="/".join(str(row[name]) for name in (*SETTING_KEYS, *CELL_KEYS)),
            hint="Every run may be aggregated once",
        )


def runs_of(part: pd.DataFrame, metric: str, classifier: str, calibrator: str = "none") -> Runs | None:
    """The values of a method and a metric in the metrics of one setting, or None."""
    rows = part[(part["metric"] == metric) & (part["classifier"] == classifier) & (part["calibrator"] == calibrator)]
    return Runs.of(rows) if len(rows) else None


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
