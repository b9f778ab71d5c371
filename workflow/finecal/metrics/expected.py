"""Accuracies that a user knows, compared with those that are found."""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    """An accuracy, the 95 % interval of one fixed classifier on these samples (Wilson), and whether the other is in it.

    Attributes
    ----------
    low, high
        Fractions.
    beyond
        Whether the expected accuracy is outside of the interval.
    """

    low: float
    high: float
    beyond: bool


def compare(found: float, n: int, expected: float) -> Difference:
    """Compare an accuracy of n samples with the one that was expected; all are fractions.

    >>> compare(0.186, 350, 0.257).beyond, compare(0.25, 350, 0.257).beyond
    (True, False)
    """
    from scipy.stats import binomtest  # half a second, for studies that expect something

    interval = binomtest(round(found * n), n).proportion_ci(0.95, "wilson")
    rounded = 0.0005  # of an accuracy in percent with one digit
    return Difference(
        float(interval.low), float(interval.high), not interval.low - rounded <= expected <= interval.high + rounded
    )
