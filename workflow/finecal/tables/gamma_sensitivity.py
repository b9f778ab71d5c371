"""How much the choice of γ matters: γ of each calibrator, its distance from γ* (positive: the absent classes get
more than γ*), and what acc_y_y loses against its maximum over all γ, means over runs [95 % interval]. The
tolerated width is that of the interval of γ around γ* in which acc_y_y stays within 1 point of the maximum. † Reads
test labels.

All numbers are from the exact seen–unseen curve of the test samples: they describe methods, and may not choose γ.
"""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import pandas as pd

from finecal import display
from finecal.analysis.statistics import intervals
from finecal.paths import RUN_KEYS
from finecal.tables import _gamma
from finecal.tables._gamma import CALIBRATOR_KEYS

NEEDS = ("curve", "calibration")

# Quantity → title, scale, digits, whether its sign is shown.
QUANTITIES = {
    "gamma": ("γ", 1, 2, False),
    "offset": ("γ − γ*", 1, 2, True),
    "loss": ("loss (points)", 100, 1, False),
    "width": ("tolerated width of γ", 1, 2, False),
}


def build(curve: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Return one row per setting, calibrator and quantity: mean, low, high, n_runs, and `within`.

    `within` is the number of runs that lose ≤ 1 point.

    Quantities: gamma, offset (γ − γ*), loss (a fraction), width (of the tolerated interval of γ).
    """
    rows = []
    for names, gamma, steps in _gamma.chosen_gammas(curve, calibration):
        found = {"gamma": gamma, "offset": nan, "loss": nan, "width": nan}
        if not np.isnan(steps.accuracy).any():  # there are test samples of absent classes
            low, high = steps.tolerated_interval()
            best = steps.best()
            loss = float(steps.accuracy[best] - steps.at(gamma))
            found |= {"offset": gamma - float(steps.gamma[best]), "loss": loss, "width": high - low}
        rows += [{**names, "quantity": name, "value": value} for name, value in found.items()]
    runs = pd.DataFrame(rows, columns=[*RUN_KEYS, "calibrator", "reads", "quantity", "value"])
    tidy = intervals(runs, [*CALIBRATOR_KEYS, "quantity"], "value")
    losses = runs[runs["quantity"] == "loss"]
    within = (
        (losses["value"] <= _gamma.WITHIN + 1e-12).groupby([losses[name] for name in CALIBRATOR_KEYS], sort=False).sum()
    )
    return tidy.merge(within.rename("within").reset_index(), on=CALIBRATOR_KEYS)


def present(tidy: pd.DataFrame) -> pd.DataFrame:
    """Return one row of texts per setting and calibrator."""
    rows = []
    for key, group in tidy.groupby(CALIBRATOR_KEYS, sort=False):
        dataset, task, backbone, recipe, calibrator, reads = map(str, key)
        row = {
            "data set": dataset, "task": display.task(task), "backbone": backbone, "recipe": recipe,
            "method": display.calibrator(calibrator) + (" †" if display.reads_test(reads) else ""),
            "reads": display.reads(reads),
        }  # fmt: skip
        found = group.set_index("quantity")
        for name, (title, scale, digits, sign) in QUANTITIES.items():
            one: Any = found.loc[name]
            row[title] = display.interval(one["mean"], one["low"], one["high"], scale, digits, sign=sign)
        runs, judged = int(group["n_runs"].max()), int(group[group["quantity"] == "loss"]["n_runs"].iloc[0])
        within = f"{group['within'].iloc[0]} of {judged}" if judged else display.NOTHING
        rows.append({**row, "runs that lose ≤ 1 point": within, "runs": str(runs)})
    return pd.DataFrame(rows)
