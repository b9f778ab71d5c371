"""How far means over runs scatter around the truth, by source: splits, seeds, test samples.

Cells (split, seed) are not independent: the seeds of one split are alike, and all runs share one test set. The mean of
M methods over R cells has the covariance

    V_b + C,    C = V_s − I

with V_b from the means of the splits (m splits: m − 1 degrees of freedom; with one split from its seeds), and V_s from
the influences of the test samples, averaged over the runs. What the test samples do to each split for itself shows in
V_b already; I, its share in V_s, is therefore taken out: I = (mean over splits of V_s(split) − V_s) / (m − 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

Floats = npt.NDArray[np.float64]
Cells = Sequence[tuple[str, int]]
ROUNDING = 1e-9  # a half-width below it is none


@dataclass(frozen=True, eq=False)
class Spread:
    """Means (M,) of M methods over the same cells, and their (M, M) covariances by source.

    Attributes
    ----------
    between, clusters
        V_b, from that many splits, or seeds of the only split; zeros with one cluster.
    samples, own_samples, groups
        V_s and I, from that many groups of test samples; zeros with 0 groups, where they are not known.
    seeds, n_seeds
        The diagonal (M,) of what seeds do to methods that are trained once per seed for all splits, and how many seeds.
    """

    mean: Floats
    between: Floats
    clusters: int
    samples: Floats
    own_samples: Floats
    groups: int
    seeds: Floats
    n_seeds: int

    @property
    def known(self) -> bool:
        """Whether there is anything to make an interval from."""
        return self.clusters > 1 or self.groups > 1

    def of_means(self, confidence: float) -> Floats:
        """Return (M,) half the width of each mean's interval; NaN if nothing is known."""
        parts = (np.diag(self.between), np.diag(self.samples), np.diag(self.own_samples))
        return self._half_widths(parts, self.seeds, confidence, 0.0)

    def of_differences(self, confidence: float, pseudo: float = 0.0) -> Floats:
        """Return (M, M) half the width of the interval of mean_i − mean_j; NaN if nothing is known.

        `pseudo` is n where samples count ±1 or 0: two more of them, +1 and −1, are added (Bonett and Price 2012).
        """
        parts = (_of_difference(self.between), _of_difference(self.samples), _of_difference(self.own_samples))
        return self._half_widths(parts, self.seeds[:, None] + self.seeds, confidence, pseudo)

    def _half_widths(
        self, parts: tuple[Floats, Floats, Floats], seeds: Floats, confidence: float, pseudo: float
    ) -> Floats:
        """Add the squares of the sources' own half-widths t · √V.

        That keeps the small number of splits from being averaged away by the large one of samples, as Satterthwaite's
        degrees of freedom do (Howe 1974; Graybill and Wang 1980).
        """
        between, samples, own = parts
        if not self.known:
            return np.full(between.shape, np.nan)
        tail = 0.5 + confidence / 2
        square = np.zeros(between.shape)
        if self.clusters > 1:
            square += stdtrit(self.clusters - 1, tail) ** 2 * between
        if self.n_seeds > 1:
            square += stdtrit(self.n_seeds - 1, tail) ** 2 * seeds
        if self.groups > 1:
            shared = np.maximum(samples - np.maximum(own, 0.0), 0.0)
            if pseudo:
                shared = (pseudo**2 * shared + 2) / (pseudo + 2) ** 2
            square += stdtrit(self.groups - 1, tail) ** 2 * shared
        root: Floats = np.sqrt(np.maximum(square, 0.0))
        return root


def _of_difference(covariance: Floats) -> Floats:
    """Return (M, M) the variances of all differences from a covariance."""
    own = np.diag(covariance)
    found: Floats = own[:, None] + own - 2 * covariance
    return found


def spread(
    values: Floats, cells: Cells, influences: npt.NDArray[np.float32] | None, per_seed: npt.NDArray[np.bool_]
) -> Spread:
    """Find the means and covariances of methods from their values in runs.

    Parameters
    ----------
    values
        (R, M), without NaN.
    cells
        (R) split and seed of each run.
    influences
        (R, M, G) what each group of test samples contributes (`finecal.metrics.influences`), or None if that is
        unknown.
    per_seed
        (M,) bool: trained once per seed for all splits, as oracle fine-tuning is.
    """
    splits, seeds = (_codes(part) for part in zip(*cells, strict=True))
    codes = splits if splits.max() > 0 else seeds
    clusters = int(codes.max()) + 1
    m = values.shape[1]
    zeros = np.zeros((m, m))
    between = _between(values, codes) if clusters > 1 else zeros
    n_seeds = int(seeds.max()) + 1 if splits.max() > 0 and per_seed.any() else 0
    of_seeds = np.where(per_seed, np.diag(_between(values, seeds)), 0.0) if n_seeds > 1 else np.zeros(m)
    groups = 0 if influences is None else influences.shape[2]
    samples = own = zeros
    if influences is not None and groups > 1:
        samples = _of_samples(influences)
        if clusters > 1:
            alone = np.mean([_of_samples(influences[codes == code]) for code in range(clusters)], axis=0)
            own = (alone - samples) / (clusters - 1)
    return Spread(values.mean(axis=0), between, clusters, samples, own, groups, of_seeds, n_seeds)


def _codes(names: Sequence[object]) -> npt.NDArray[np.intp]:
    """Return (R,) numbers from 0 that are equal where the names are."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.intp)


def _between(values: Floats, codes: npt.NDArray[np.intp]) -> Floats:
    """Return the (M, M) covariance of the mean from K cluster means: K / (K − 1) Σ_k w_k² (x_k − x)(x_k − x)ᵀ.

    w_k is the cluster's part of the cells; with equal clusters this is the covariance of the cluster means over K.
    """
    counts = np.bincount(codes)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, codes, values - values.mean(axis=0))
    scaled = sums / len(values)
    found: Floats = len(counts) / (len(counts) - 1) * scaled.T @ scaled
    return found


def _of_samples(influences: npt.NDArray[np.float32]) -> Floats:
    """Return the (M, M) covariance that the test samples give the mean over runs, from (R, M, G) contributions."""
    mean = influences.mean(axis=0, dtype=np.float64)
    groups = mean.shape[1]
    found: Floats = groups / (groups - 1) * mean @ mean.T
    return found


def wilson(mean: float, half_width: float, n: float, confidence: float) -> tuple[float, float]:
    """Return the interval of a mean of numbers in [0, 1] that has this symmetric half-width.

    Wilson's interval (1927) with the number of samples that has this width, n_e = z² p (1 − p) / h². Without any
    spread, as for 30 of 30, it is the number of samples itself (Korn and Graubard 1998 do the same for surveys).

    >>> low, high = wilson(1.0, 0.0, 30, 0.95)
    >>> round(low, 3), high
    (0.886, 1.0)
    """
    z = float(ndtri(0.5 + confidence / 2))
    variance = mean * (1 - mean)
    effective = z**2 * variance / half_width**2 if half_width > ROUNDING and variance > 0 else n
    denominator = 1 + z**2 / effective
    centre = (mean + z**2 / (2 * effective)) / denominator
    half = z / denominator * np.sqrt(max(variance, 0.0) / effective + z**2 / (4 * effective**2))
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)
