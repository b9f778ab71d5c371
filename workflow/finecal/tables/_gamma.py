"""Compute how acc_y_y of a run depends on γ, from the vertices of its curve.

Between two vertices accuracy changes once. The table does not say where exactly: the step is put halfway between their
γ. Accuracies are thus always values that the run reaches, and γ is known to half the distance of two vertices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finecal.paths import RUN_KEYS, SETTING_KEYS

WITHIN = 0.01  # one point of accuracy
CALIBRATOR_KEYS = [*SETTING_KEYS, "calibrator", "reads"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Steps:
    """acc_y_y as a step function of γ: gamma (K,) ascending and finite, accuracy (K,)."""

    gamma: Floats
    accuracy: Floats

    def at(self, gamma: npt.ArrayLike) -> Floats:
        """Return the accuracy at any γ; beyond the outermost finite vertices, the accuracy of these.

        >>> Steps(np.array([0.0, 1.0]), np.array([0.5, 0.75])).at([-9.0, 0.4, 0.6])
        array([0.5 , 0.5 , 0.75])
        """
        edges = (self.gamma[:-1] + self.gamma[1:]) / 2
        found: Floats = self.accuracy[np.searchsorted(edges, np.asarray(gamma, np.float64))]
        return found

    def best(self) -> int:
        """Return the index of the vertex with the highest accuracy, among equals of that with the smallest |γ|."""
        ties = np.flatnonzero(self.accuracy == self.accuracy.max())
        return int(ties[np.argmin(np.abs(self.gamma[ties]))])

    def tolerated_interval(self, within: float = WITHIN) -> tuple[float, float]:
        """Return the ends of the interval of γ around the best where accuracy is at most `within` below the maximum.

        >>> Steps(np.arange(5.0), np.array([0.5, 0.75, 0.755, 0.6, 0.755])).tolerated_interval()
        (0.5, 2.5)
        """
        good = self.accuracy >= self.accuracy.max() - within - 1e-12
        best = self.best()
        worse = np.flatnonzero(~good)
        before, after = worse[worse < best], worse[worse > best]
        g = self.gamma
        low = (g[before[-1]] + g[before[-1] + 1]) / 2 if before.size else g[0]
        high = (g[after[0] - 1] + g[after[0]]) / 2 if after.size else g[-1]
        return float(low), float(high)


def chosen_gammas(curve: pd.DataFrame, calibration: pd.DataFrame) -> Iterator[tuple[dict[str, object], float, Steps]]:
    """Yield for each run and each calibrator that only adds a γ: its coordinates and names, γ, and the run's steps."""
    tuned = curve[(curve["classifier"] == "fine_tuned") & np.isfinite(curve["gamma"])]
    steps = {}
    for key, part in tuned.groupby(list(RUN_KEYS), sort=False):
        ordered = part.sort_values("gamma", kind="stable")
        steps[key] = Steps(ordered["gamma"].to_numpy(np.float64), ordered["acc_y_y"].to_numpy(np.float64))
    names = [*RUN_KEYS, "calibrator", "reads"]
    fitted = calibration[(calibration["parameter"] == "gamma") & calibration["value"].notna()]
    for *key, gamma in fitted[[*names, "value"]].itertuples(index=False, name=None):
        one = steps.get(tuple(key[: len(RUN_KEYS)]))
        if one is not None:
            yield dict(zip(names, key, strict=True)), float(gamma), one
