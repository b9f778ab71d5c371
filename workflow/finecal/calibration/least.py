"""Where a loss of one number is smallest: Newton's method, kept inside a range.

Slope and curvature of a negative log-likelihood come from the same exponentials as the loss, so a few looks at the data
are enough where a search that only compares losses needs some thirty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Ends = tuple[float, float]

FEW = 100  # samples on which a search begins: what they say is nearly what all of them say

MOST_STEPS = 200  # about ten are usual; halving a range so often leaves nothing of it
SMALL_STEP = 1e-6  # after one the error is about its square, 1e-12


class Look(NamedTuple):
    """A loss at one place x.

    Attributes
    ----------
    loss
        It falls up to its smallest value and rises from there.
    slope
        Its derivative by x, times any positive function of x with which this rises with x.
    rise
        The derivative of `slope` by x.
    """

    loss: float
    slope: float
    rise: float


class Least(NamedTuple):
    """Where a loss is smallest.

    Attributes
    ----------
    x
        The place; an end of the range if the loss falls up to there.
    end
        The first end of the range with a loss as small, to 1e-9 of it; None if none has. Such a best value is not
        determined by the data: the range is, or the loss is flat up to there.
    """

    x: float
    end: float | None


def some_of(samples: int) -> tuple[slice, float]:
    """Return which of N ≥ 1 samples are about `FEW`, evenly spread, and what part of all they are."""
    step = max(1, samples // FEW)
    return slice(None, None, step), -(-samples // step) / samples


def least(look: Callable[[float], Look], ends: Ends, some: Callable[[float], Look], part: float) -> Least:
    """Find where a loss is smallest between two ends, the lower one first.

    Parameters
    ----------
    look
        What the mean loss of all samples is at a place; no sample's loss is negative.
    ends
        The range.
    some
        The same of some of the samples: there the search begins, and what is far too large for them is so for all.
    part
        What part of all samples these are.
    """
    looks: dict[float, Look] = {}
    start = root(lambda x: some(x)[1:], ends, 0.0)

    def slope(x: float) -> tuple[float, float]:
        looks[x] = look(x)
        return looks[x].slope, looks[x].rise

    best = root(slope, ends, start)
    smallest = min(one.loss for one in looks.values())
    enough = smallest + 1e-9 * max(1.0, abs(smallest))

    def as_good(end: float) -> bool:
        # Beyond a place where it has risen the loss does not fall again.
        if any(min(best, end) <= x <= max(best, end) and one.loss > enough for x, one in looks.items()):
            return False
        return part * some(end).loss <= enough and look(end).loss <= enough

    return Least(best, next((end for end in ends if as_good(end)), None))


def root(slope: Callable[[float], tuple[float, float]], ends: Ends, start: float) -> float:
    """Return where a rising function is 0, to about the square of `SMALL_STEP`; the end next to it if that is outside.

    Parameters
    ----------
    slope
        x → (value, derivative).
    ends
        The range, the lower end first.
    start
        Where to begin.
    """
    low, high = ends
    x, before, seen = min(max(start, low), high), float("inf"), set[float]()
    for _ in range(MOST_STEPS):
        value, rise = slope(x)
        seen.add(x)
        low, high = x if value <= 0 else low, x if value >= 0 else high
        step = -value / rise if rise > 0 else float("inf")
        if abs(step) <= SMALL_STEP or low >= high:
            return min(max(x + step, low), high)
        to = x + step
        if not low < to < high or abs(step) > before / 2:
            # Newton's method leads out of the range or comes to no end: the end is looked at, then the middle.
            end = high if value < 0 else low
            to = low + (high - low) / 2 if end in seen else end
        if to in seen:  # no number lies between
            return to
        before, x = abs(to - x), to
    return x
