"""Summarise γ and accuracy by the number of samples, over draws and runs: for the table and the figure."""

from __future__ import annotations

import pandas as pd

from finecal.paths import CELL_KEYS
from finecal.tables._gamma import CALIBRATOR_KEYS

QUANTITIES = ("gamma", "acc_y_y", "best_gamma", "best_acc_y_y")


def build(gamma_draws: pd.DataFrame) -> pd.DataFrame:
    """Return one row per setting, calibrator and number of samples per class; "all samples" of all runs are one row.

    Columns: everything; n_per_class and n_samples, means over runs; n_runs, n_draws; the means of gamma, acc_y_y,
    best_gamma and best_acc_y_y, and as …_low and …_high the ends of the middle 95 % of the draws.
    """
    frame = gamma_draws.assign(part=gamma_draws["n_per_class"].where(~gamma_draws["everything"], 0))
    rows = []
    for key, group in frame.groupby([*CALIBRATOR_KEYS, "everything", "part"], sort=False):
        row = dict(zip([*CALIBRATOR_KEYS, "everything"], key[:-1], strict=True))
        row |= {name: float(group[name].mean()) for name in ("n_per_class", "n_samples")}
        row |= {"n_runs": len(group[list(CELL_KEYS)].drop_duplicates()), "n_draws": len(group)}
        for name in QUANTITIES:
            low, high = group[name].quantile([0.025, 0.975]) if len(group) > 1 else (float("nan"),) * 2
            row |= {name: float(group[name].mean()), f"{name}_low": float(low), f"{name}_high": float(high)}
        rows.append(row)
    order = ["everything", "n_per_class", "n_samples", "n_runs", "n_draws"]
    order += [f"{name}{end}" for name in QUANTITIES for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*CALIBRATOR_KEYS, *order])
