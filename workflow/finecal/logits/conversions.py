"""From what others store in place of logits back to logits, a part of the rows at a time, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import counted
from finecal.io import large

Floats = npt.NDArray[np.floating[Any]]


def _keep(values: Floats, masked: npt.NDArray[np.intp]) -> tuple[Floats, list[str]]:
    return values, []


def _log_probabilities(values: Floats, masked: npt.NDArray[np.intp]) -> tuple[Floats, list[str]]:
    said = (
        "The rows are log-probabilities (Σ exp is 1): they are logits less a number for each row, so γ means the same."
    )
    gone = sum(_count(np.isneginf(values[rows])) for rows in large.parts(values))
    if not gone:
        return values, [said]
    lows = [values[rows].min(where=~np.isneginf(values[rows]), initial=np.inf) for rows in large.parts(values)]
    lowest, kept = float(min(lows)), large.empty(values.shape, np.float64)
    for rows in large.parts(values):
        part = values[rows].astype(np.float64)
        part[np.isneginf(part)] = lowest - 1 if np.isfinite(lowest) else 0.0
        kept[rows] = part
    return kept, [
        f"{said} {_share(gone, values, masked)} are −∞, a probability of 0: just below the lowest other is taken."
    ]


def _of_probabilities(values: Floats, masked: npt.NDArray[np.intp]) -> tuple[Floats, list[str]]:
    logs, more = _logs(values, masked, 1.0)
    return logs, [
        "The rows are probabilities (in [0, 1], sum 1): their logarithm is taken, which is the logits less a number "
        f"for each row, so γ means the same.{more} With `--scores logits` (finecal.ScoresAs) they stay as they are."
    ]


def _of_percentages(values: Floats, masked: npt.NDArray[np.intp]) -> tuple[Floats, list[str]]:
    logs, more = _logs(values, masked, 100.0)
    return logs, [f"The rows are probabilities in per cent (sum 100): the logarithm of their hundredth is taken.{more}"]


def _of_sigmoids(values: Floats, masked: npt.NDArray[np.intp]) -> tuple[Floats, list[str]]:
    small = _least(values) / 2
    large_end = _least(values, lambda part: 1 - part) / 2
    logits, ends = large.empty(values.shape, np.float64), 0
    for rows in large.parts(values):
        wide = values[rows].astype(np.float64)
        ends += _count((wide <= 0) | (wide >= 1))
        logits[rows] = np.log(np.clip(wide, small, None)) - np.log(np.clip(1 - wide, large_end, None))
    more = f" {_share(ends, values, masked)} are 0 or 1, whose order is lost." if ends else ""
    return logits, [
        "The scores are in [0, 1] and do not sum to 1, as sigmoids: log(p / (1 − p)) is taken, the logit before the "
        f"sigmoid.{more} With `--scores logits` (finecal.ScoresAs) they stay as they are."
    ]


def _logs(values: Floats, masked: npt.NDArray[np.intp], whole: float) -> tuple[Floats, str]:
    """Return log(values / whole); a 0 becomes half of the least other value."""
    least = _least(values, lambda part: part / whole) / 2
    logs, gone = large.empty(values.shape, np.float64), 0
    for rows in large.parts(values):
        wide = values[rows].astype(np.float64) / whole
        zeros = wide <= 0
        wide[zeros] = least
        zeros[:, masked] = False
        gone += _count(zeros)
        logs[rows] = np.log(wide)
    if not gone:
        return logs, ""
    return logs, (
        f" {_share(gone, values, masked)} are 0: their order is lost, and γ near the largest differences is not exact."
    )


def _least(values: Floats, change: Callable[[Floats], Floats] = lambda part: part) -> float:
    """Return the least positive of the changed values; 1 without any."""
    least = np.inf
    for rows in large.parts(values):
        part = change(values[rows].astype(np.float64))
        least = min(least, float(part.min(where=part > 0, initial=np.inf)))
    return least if np.isfinite(least) else 1.0


def _count(which: npt.NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(which))


def _share(count: int, values: Floats, masked: npt.NDArray[np.intp]) -> str:
    return f"{count:,} of {counted(max(values.size - len(values) * len(masked), 1), 'value')}"


CONVERT = {
    "logits": _keep, "probabilities": _of_probabilities, "percentages": _of_percentages, "sigmoid": _of_sigmoids,
    "log-probabilities": _log_probabilities,
}  # fmt: skip
