"""Ranks of methods with intervals, from their paired differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from finecal.analysis.intervals import CONFIDENCE, NAN, Interval, Runs, spread_of

DECIMALS = 12  # means that differ only by rounding errors are equal

Rank = tuple[float, float, float]


def ranks(boards: Sequence[Sequence[Runs]]) -> list[Rank]:
    """Return the rank of each method's mean, 1 for the highest, and the ranks that its differences to the others allow.

    A method is behind those that are better beyond uncertainty, and before those that are worse. The interval of one
    method's rank holds its true rank in 95 % of cases: its M − 1 differences have the confidence 1 − 0.05 / (M − 1)
    each (Mogstad et al. 2024). That is said of one method, not of all at once.

    Parameters
    ----------
    boards
        For each board the runs of all M methods; the score is the mean over boards of the means over runs.

    Returns
    -------
    Rank, lowest and highest rank, by method; NaN if the methods have no run in common or nothing makes an interval.
    """
    count = len(boards[0])
    shared = [_shared(board) for board in boards]
    if not count or not all(shared):
        return [(NAN, NAN, NAN)] * count
    confidence = 1 - (1 - CONFIDENCE) / max(count - 1, 1)
    squares, differences, scores = np.zeros((count, count)), np.zeros((count, count)), np.zeros(count)
    for board, cells in zip(boards, shared, strict=True):
        found, n = spread_of([runs.only(cells) for runs in board]), board[0].n
        squares += found.of_differences(confidence, n) ** 2
        apart = found.mean[:, None] - found.mean
        differences += apart * n / (n + 2) if found.groups > 1 else apart
        scores += found.mean
    half, differences = np.sqrt(squares) / len(boards), differences / len(boards)
    places = ranks_of(scores / len(boards))
    if np.isnan(half).any():
        return [(float(place), NAN, NAN) for place in places]
    beyond = np.abs(differences).round(DECIMALS) > half.round(DECIMALS)
    better, worse = ((beyond & (sign * differences < 0)).sum(axis=1) for sign in (1, -1))
    return [
        (float(place), float(1 + ahead), float(count - behind))
        for place, ahead, behind in zip(places, better, worse, strict=True)
    ]


def _shared(board: Sequence[Runs]) -> list[tuple[str, int]]:
    there = [set(runs.cells) for runs in board]
    return [cell for cell in board[0].cells if all(cell in cells for cells in there)] if board else []


def ranks_of(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the (M,) ranks of scores: 1 + the number of methods with a higher score.

    >>> ranks_of(np.array([0.5, 0.7, 0.5, 0.1]))
    array([2, 1, 2, 4])
    """
    rounded = scores.round(DECIMALS)
    found: npt.NDArray[np.int64] = 1 + (rounded > rounded[:, None]).sum(axis=1)
    return found


def over_boards(means: Sequence[Interval]) -> Interval:
    """Return the mean of means on several boards; n is the number of trainings of all boards together.

    The distances of the bounds from the means are added as squares (Zou and Donner 2008), as of independent numbers:
    boards have their own trainings.
    """
    if len(means) == 1:
        return means[0]
    there = [one for one in means if one.n]
    if not there:
        return Interval(NAN, NAN, NAN, 0)
    mean = float(np.mean([one.mean for one in there]))
    below, above = (
        float(np.sqrt(np.sum(np.square(distances)))) / len(there)
        for distances in ([one.mean - one.low for one in there], [one.high - one.mean for one in there])
    )
    return Interval(mean, mean - below, mean + above, sum(one.n for one in there))
