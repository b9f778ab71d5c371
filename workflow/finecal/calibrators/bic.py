"""BiC: scale and shift of the logits of S, fitted on labelled validation data of all classes."""

from __future__ import annotations

from functools import cache

import numpy as np
from pydantic import Field

from finecal.calibration.contract import (
    REFUSED,
    Data,
    Fitted,
    Floats,
    Labelled,
    Mask,
    State,
    Unlabelled,
    end_as_good,
)
from finecal.config import Model, Range
from finecal.config import Positive as PositiveNumber
from finecal.metrics.softmax import log_sum_exp

PAPER = "Wu et al. 2019, Large scale incremental learning (arXiv 1905.13260)"
READS = frozenset({"validation"})


class Options(Model):
    """The range of the scale."""

    scale: Range[PositiveNumber] = Field((0.01, 100.0), description="Smallest and largest α.")


class Calibrator:
    """α z_c + β for c ∈ S, with the α > 0 and β of smallest negative log-likelihood.

    The best β makes the mean probability of S equal to the part of the samples that are of S; bisection finds it for
    each α of a bounded search. Where an end of the range is as good as any α in it, the α is refused, and where all
    samples are of S or of U, the β: `refused` says what it was, and the logits stay as they are.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        from scipy.optimize import minimize_scalar

        validation: Labelled = data["validation"]
        z, labels = validation.logits.astype(np.float64), validation.labels
        of_s = data.fine_tuning[labels]
        own = z[np.arange(len(z)), labels]
        of_classes_s, sum_u = z[:, data.fine_tuning], log_sum_exp(z, ~data.fine_tuning)[:, 0]

        @cache
        def best(log_alpha: float) -> tuple[float, float]:
            """Return the negative log-likelihood at an α with its best β, and this β."""
            alpha = np.exp(log_alpha)
            sum_s = log_sum_exp(of_classes_s, scale=alpha)[:, 0]
            beta = _balance(sum_s - sum_u, float(of_s.mean()))
            total = np.logaddexp(sum_s + beta, sum_u)
            return float((total - np.where(of_s, alpha * own + beta, own)).mean()), beta

        ends = np.log(self.options.scale)
        found = minimize_scalar(lambda log_alpha: best(log_alpha)[0], bounds=ends, method="bounded").x
        beta, end = best(found)[1], end_as_good(lambda log_alpha: best(log_alpha)[0], found, ends)
        if of_s.all() or not of_s.any():
            return {"alpha": 1.0, "beta": 0.0, REFUSED: beta}
        if end is not None:
            return {"alpha": 1.0, "beta": 0.0, REFUSED: float(np.exp(end))}
        return {"alpha": float(np.exp(found)), "beta": beta}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        return np.where(fine_tuning, state["alpha"] * inputs.logits + state["beta"], inputs.logits)


def _balance(gaps: Floats, share: float) -> float:
    """Return the β with mean sigmoid(gap + β) = share; the mean rises with β."""
    low, high = -float(gaps.max()) - 40, -float(gaps.min()) + 40
    for _ in range(200):
        middle = low + (high - low) / 2
        exhausted = middle in (low, high)  # no number lies between: further steps would change nothing
        if float(_sigmoid(gaps + middle).mean()) < share:
            low = middle
        else:
            high = middle
        if exhausted:
            break
    return low + (high - low) / 2


def _sigmoid(x: Floats) -> Floats:
    values: Floats = 0.5 * (1 + np.tanh(0.5 * x))
    return values
