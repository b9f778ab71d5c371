"""Logarithms of sums of exponentials, without overflow and without losing digits.

They are computed for blocks of rows that stay in the cache. What is found for a row does not depend on the other rows
of its block, so the blocks do not show in the results.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BLOCK_BYTES = 1 << 18  # of float64 logits: they and what is made of them fit in an L2 cache


def row_blocks(n: int, columns: int) -> Iterator[slice]:
    """Yield slices of n rows, about `BLOCK_BYTES` of float64 each; none is of a single row unless n is 1.

    NumPy adds up a single row in the order of a row, whatever the order in memory, and so to other digits than many.
    """
    rows = max(2, BLOCK_BYTES // (8 * max(columns, 1)))
    start = 0
    while start < n:
        end = start + rows if start + rows < n - 1 else n
        yield slice(start, end)
        start = end


def log_sum_exp(logits: npt.NDArray[Any], group: npt.NDArray[np.bool_] | None = None, *, scale: float = 1.0) -> Floats:
    """Return (N, 1) float64 log Σ_c exp(scale · z_c) of (N, C), over the classes of a (C,) mask; without overflow."""
    found = np.empty((len(logits), 1))
    for rows in row_blocks(*logits.shape):
        part = logits[rows] if group is None else logits[rows][:, group]
        z = part.astype(np.float64)
        if scale != 1:
            z *= scale
        top = z.max(axis=1, keepdims=True)
        z -= top
        np.add(top, np.log(np.exp(z, out=z).sum(axis=1, keepdims=True)), out=found[rows])
    return found


def shifted_log_sums(logits: npt.NDArray[Any], group: npt.NDArray[np.bool_], shifts: Floats) -> tuple[Floats, Floats]:
    """Return (N,) log Σ_c exp(z_c − max_c z_c) of (N, C), and (K, N) log Σ_c exp(z_c + b_c) for each shift b.

    Sums are over the classes of a (C,) mask. Σ exp(z_c) exp(b_c) takes the place of new exponentials. `shifts` is
    (K, C); within the group numbers of a shift are at most 700 from each other, since what is 0 in float64 must be
    nothing beside the largest term.
    """
    rest, found = np.empty(len(logits)), np.empty((len(shifts), len(logits)))
    of_group = shifts[:, group]
    largest = of_group.max(axis=1)
    factors = np.exp(of_group - largest[:, None]).T  # (|group|, K)
    for rows in row_blocks(*logits.shape):
        z = logits[rows][:, group].astype(np.float64)
        top = z.max(axis=1, keepdims=True)
        z -= top
        np.exp(z, out=z)
        rest[rows] = np.log(z.sum(axis=1))
        if len(shifts):
            found[:, rows] = (top + largest + np.log(z @ factors)).T
    return rest, found


def scaled_moments(logits: npt.NDArray[Any], scale: float) -> tuple[Floats, Floats, Floats]:
    """Return (N,) log Σ_c exp(s · z_c) of (N, C), and mean and variance of z_c under softmax(s · z); without overflow.

    The mean is the derivative of the first by the scale s, the variance that of the mean.
    """
    sums, means, variances = np.empty((3, len(logits)))
    for rows in row_blocks(*logits.shape):
        z = logits[rows].astype(np.float64)
        top = z.max(axis=1)
        z -= top[:, None]
        powers = scale * z
        np.exp(powers, out=powers)
        total = powers.sum(axis=1)
        sums[rows] = scale * top + np.log(total)
        mean = np.vecdot(powers, z) / total  # of z − max
        means[rows] = top + mean
        powers *= z
        variances[rows] = np.maximum(np.vecdot(powers, z) / total - mean * mean, 0)
    return sums, means, variances


def log_softmax(logits: npt.NDArray[Any]) -> Floats:
    """Return (N, C) float64 log-probabilities."""
    # Not z − log_sum_exp(z): next to a large logit that would lose the digits of the small ones.
    logs = logits.astype(np.float64)
    for rows in row_blocks(*logs.shape):
        shifted = logs[rows]
        shifted -= shifted.max(axis=1, keepdims=True)
        shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def mean_posterior(likelihoods: Floats, prior: Floats) -> Floats:
    """Return (C,) the mean over N samples of l_ic π_c / Σ_k l_ik π_k.

    The likelihoods are read from memory once, as a block of rows stays in the cache.

    Parameters
    ----------
    likelihoods
        (N, C) l, each row in a scale of its own; N ≥ 1.
    prior
        (C,) π, in any scale.
    """
    total = np.zeros(len(prior))
    for rows in row_blocks(*likelihoods.shape):
        part = likelihoods[rows]
        total += 1 / (part @ prior) @ part
    mean: Floats = prior * total / len(likelihoods)
    return mean
