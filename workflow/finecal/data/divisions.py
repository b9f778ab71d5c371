"""Divide samples at random into training, validation and test samples, each class by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from finecal.data.packed import Samples
from finecal.errors import join_names

SHOWN = 10  # names in a message
AnySamples = TypeVar("AnySamples", bound=Samples)


def count_held_out(total: int, fraction: float) -> int:
    """Return how many of a class's samples are held out: round(fraction × total), at least one, of several not all.

    >>> [count_held_out(total, 0.3) for total in (1, 2, 3, 10)], count_held_out(2, 0.9)
    ([1, 1, 1, 3], 1)
    """
    return min(max(1, round(fraction * total)), max(1, total - 1))


def stratified_test(labels: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    """Draw the part of every class that is held out, see `count_held_out`; return a (N,) bool mask."""
    return _draw(labels, lambda total: count_held_out(total, fraction), random)


def draw_of_each(labels: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    """Draw round(fraction × n) samples of every class, at least one and perhaps all; return a (N,) bool mask."""
    return _draw(labels, lambda total: max(1, round(fraction * total)), random)


def _draw(labels: np.ndarray, count: Callable[[int], int], random: np.random.Generator) -> np.ndarray:
    drawn = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        drawn[members[: count(len(members))]] = True
    return drawn


def hold_out_validation(samples: AnySamples, fraction: float, random: np.random.Generator) -> AnySamples:
    """Hold out this fraction of each class's training samples for validation, see `count_held_out`; none if it is 0.

    A class keeps a single training sample; such classes are named on standard error.
    """
    if not fraction:
        return samples
    train = np.flatnonzero(samples.train)
    counts = np.bincount(samples.labels[train], minlength=len(samples.classes))
    validation = np.zeros(len(samples), dtype=bool)
    validation[train] = stratified_test(samples.labels[train], fraction, random)
    validation &= counts[samples.labels] > 1
    if single := [repr(samples.classes[label]) for label in np.flatnonzero(counts == 1)]:
        print(f"no validation sample of {join_names(single, SHOWN)}: a single training sample", file=sys.stderr)
    return replace(samples, validation=validation)  # type: ignore[type-var]  # both kinds of samples are dataclasses
