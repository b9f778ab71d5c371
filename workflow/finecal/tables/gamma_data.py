"""How much data γ needs: γ and accuracy on all classes of calibrators fitted on a few samples per class, mean [middle
95 % of random draws and runs together]. Every number of samples is drawn 20 times in each run, all samples once; PCV
gets so many of each pseudo-split. γ* in the last columns is the best γ for the test labels.
"""

from __future__ import annotations

import pandas as pd

from finecal import display
from finecal.tables import _gamma_data

NEEDS = ("gamma_draws",)


def build(gamma_draws: pd.DataFrame) -> pd.DataFrame:
    """Build the table, see `finecal.tables._gamma_data.build`."""
    return _gamma_data.build(gamma_draws)


def present(tidy: pd.DataFrame) -> pd.DataFrame:
    """Return one row of texts per calibrator and number of samples."""
    rows = []
    for one in tidy.to_dict("records"):
        n = display.number(one["n_per_class"], 1, 0)
        rows.append(
            {
                "data set": one["dataset"], "task": display.task(one["task"]), "backbone": one["backbone"],
                "recipe": one["recipe"], "method": display.calibrator(one["calibrator"]),
                "reads": display.reads(one["reads"]), "samples per class": f"all ({n})" if one["everything"] else n,
                "γ": display.interval(one["gamma"], one["gamma_low"], one["gamma_high"], 1, 2),
                "all classes": display.interval(one["acc_y_y"], one["acc_y_y_low"], one["acc_y_y_high"]),
                "γ*": display.number(one["best_gamma"], 1, 2),
                "all classes, γ*": display.number(one["best_acc_y_y"]),
                "runs": str(one["n_runs"]), "draws": str(one["n_draws"]),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
