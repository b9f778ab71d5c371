"""How much each test sample contributes to the error of a metric: what intervals over test samples are made from.

The influence of sample i on a metric θ is what the estimate moves by if the sample is given more weight; its sampling
variance is Σ_i c_i² with c_i = influence_i / N (Hampel 1974). Runs that are tested on the same samples share their
errors, and methods of a run do so even more; since contributions of runs and methods can be averaged and subtracted
sample by sample, variances of means and of paired differences follow from them.

N numbers for every metric, method and run would be too many. The samples are dealt at random into at most `GROUPS`
groups, the same for all runs with as many test samples, and contributions are added up in each group. The squares of
these sums have the same expectation (random groups: Wolter 2007, Introduction to Variance Estimation, chapter 2).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from finecal.metrics.classification import Softmax
from finecal.metrics.curve import GroupMaxima
from finecal.metrics.validation import Floats
from finecal.seeds import generator

GROUPS = 250  # a variance from as many random groups has a standard error of 9 %

Sums = npt.NDArray[np.float32]


def group_sums(contributions: Floats) -> Sums:
    """Add up (N,) contributions in each group of samples: (min(N, GROUPS),) float32.

    >>> group_sums(np.array([0.25, 0.5])).sum()
    np.float32(0.75)
    """
    n = len(contributions)
    sums = np.bincount(_groups(n), weights=contributions, minlength=min(n, GROUPS))
    return sums.astype(np.float32)


@lru_cache(maxsize=16)
def _groups(n: int) -> npt.NDArray[np.int64]:
    """Return (n,) the group of each sample; without replacement, so that groups differ by one sample at most."""
    dealt: npt.NDArray[np.int64] = generator("influences", n).permutation(n) % GROUPS
    return dealt


def of_mean(values: npt.NDArray[Any], chosen: npt.NDArray[np.bool_] | None = None) -> Floats:
    """Return the (N,) contributions to the mean of (N,) values over the chosen samples; zeros if none is chosen.

    >>> of_mean(np.array([1.0, 0.0, 1.0]), np.array([True, True, False]))
    array([ 0.25, -0.25,  0.  ])
    """
    mask = np.ones(len(values), bool) if chosen is None else chosen
    n = int(mask.sum())
    found = np.zeros(len(values))
    if n:
        found[mask] = (values[mask] - values[mask].mean()) / n
    return found


def of_accuracies(maxima: GroupMaxima, labels: npt.NDArray[Any]) -> dict[str, Floats]:
    """Return the contributions to acc_y_y, acc_s_y, acc_u_y, acc_s_s, acc_u_u at γ = 0."""
    of_s = maxima.fine_tuning[labels]
    right = maxima.predictions() == labels
    alone = np.where(of_s, maxima.class_s, maxima.class_u) == labels
    return {
        "acc_y_y": of_mean(right),
        "acc_s_y": of_mean(right, of_s),
        "acc_u_y": of_mean(right, ~of_s),
        "acc_s_s": of_mean(alone, of_s),
        "acc_u_u": of_mean(alone, ~of_s),
    }


def of_harmonic_mean(a: float, b: float, of_a: Floats, of_b: Floats) -> Floats:
    """Return the contributions to 2ab / (a + b) from those to a and b: d = 2 (b² da + a² db) / (a + b)²."""
    return 2 * (b**2 * of_a + a**2 * of_b) / (a + b) ** 2 if a + b > 0 else np.zeros_like(of_a)


def of_ausuc(maxima: GroupMaxima, labels: npt.NDArray[Any], weights: Floats | None = None) -> Floats:
    """Return the contributions to AUSUC, a two-sample U-statistic as the area under an ROC curve is.

    AUSUC = Σ_{i of S} Σ_{j of U} w_i w_j r_i r_j [d_j < d_i, ½ if equal], with r right in the own group. The placement
    of a sample is its sum over the other group; placements less their mean, times w, are the contributions (DeLong et
    al. 1988).

    Parameters
    ----------
    labels
        (N,).
    weights
        (N,) with sum 1 over S and over U; without them 1/n_S and 1/n_U. Samples of a class have the same weight, and
        with weights the placements are centred within each class, since classes are then given and not drawn.
    """
    of_s = maxima.fine_tuning[labels]
    if of_s.all() or not of_s.any():
        return np.zeros(len(labels))
    right = np.where(of_s, maxima.class_s, maxima.class_u) == labels
    plain = np.where(of_s, 1 / max(of_s.sum(), 1), 1 / max((~of_s).sum(), 1))
    w = plain if weights is None else weights
    placed = np.zeros(len(labels))
    for own, order, sign in ((of_s, maxima.order, 1), (~of_s, maxima.falling, -1)):
        low, high = _below(sign * maxima.difference[order], (~own & right)[order], w[order])
        placed[order] += (own & right)[order] * (low + high) / 2
    strata = of_s.astype(np.intp) if weights is None else labels
    counts, sums = np.bincount(strata), np.bincount(strata, weights=placed)
    contributions: Floats = w * (placed - (sums / np.maximum(counts, 1))[strata])
    return contributions


def _below(d: Floats, others: npt.NDArray[np.bool_], w: Floats) -> tuple[Floats, Floats]:
    """Return (N,) the weights of the others with a smaller d, and of those with a smaller or the same one.

    Everything is in the order of ascending d.
    """
    total = np.append(0.0, np.cumsum(w[others]))
    counts = np.append(0, np.cumsum(others))  # (N + 1,) how many others are before each place
    new = d[1:] != d[:-1]
    if new.all():
        return total[counts[:-1]], total[counts[1:]]
    first = np.append(0, 1 + np.flatnonzero(new))  # where each run of equals begins
    ends = np.append(first[1:], len(d))
    low, high = (total[counts[places]].repeat(ends - first) for places in (first, ends))
    return low, high


def of_calibration_error(confidence: Floats, right: npt.NDArray[np.bool_], bins: int = 15) -> Floats:
    """Return the contributions to Σ_b |Σ_{i in b} (right_i − confidence_i)| / N: signed by the side of their bin."""
    gap = right - confidence
    places = np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")
    side = np.sign(np.bincount(places, weights=gap, minlength=bins))
    return of_mean(side[places] * gap)


def calibration_error_bias(found: Softmax, bins: int = 15) -> float:
    """Return how much too large the calibration error of N samples is expected to be: chance opens every bin's gap.

    Σ_b (E|X_b| − g_b) / N with X_b normal around the bin's sum of gaps g_b, with the variance that the samples of the
    bin show; g_b² is the observed square less this variance, or 0. The root makes it rather too much than too little.
    NaN without samples.
    """
    n, gap = len(found.right), found.right - found.confidence
    if not n:
        return float("nan")
    places = np.searchsorted(np.arange(1, bins) / bins, found.confidence, side="left")
    counts, sums = np.bincount(places), np.bincount(places, weights=gap)
    within = gap - (sums / np.maximum(counts, 1))[places]
    variance = np.bincount(places, weights=within**2) * counts / np.maximum(counts - 1, 1)
    # One sample shows no variance: that of a sample as sure as it says takes its place.
    alone = np.bincount(places, weights=found.confidence * (1 - found.confidence))
    variance = np.where(counts == 1, alone, variance)
    g, s = np.sqrt(np.maximum(sums**2 - variance, 0)), np.sqrt(variance)
    z = np.divide(g, s, out=np.full_like(g, np.inf), where=s > 0)
    expected = s * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + g * (2 * ndtr(z) - 1)  # of a folded normal variable
    return float((expected - g).sum() / n)
