"""BiC: scale and shift of the logits of S, fitted on labelled validation data of all classes."""

from __future__ import annotations

from dataclasses import dataclass

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
)
from finecal.calibration.least import Look, least, root, some_of
from finecal.config import Model, Range
from finecal.config import Positive as PositiveNumber
from finecal.metrics.softmax import log_sum_exp, scaled_moments

PAPER = "Wu et al. 2019, Large scale incremental learning (arXiv 1905.13260)"
READS = frozenset({"validation"})


class Options(Model):
    """The range of the scale."""

    scale: Range[PositiveNumber] = Field((0.01, 100.0), description="Smallest and largest α.")


class Calibrator:
    """α z_c + β for c ∈ S, with the α > 0 and β of smallest negative log-likelihood.

    The best β makes the mean probability of S equal to the part of the samples that are of S, and is found for each α
    of a bounded search. Where an end of the range is as good as any α in it, the α is refused, and where all
    samples are of S or of U, the β: `refused` says what it was, and the logits stay as they are.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        validation: Labelled = data["validation"]
        fitting = _Fitting.of(validation.logits, validation.labels, data.fine_tuning)
        low, high = np.log(self.options.scale).tolist()
        some, part = some_of(len(validation))
        few = _Fitting.of(validation.logits[some], validation.labels[some], data.fine_tuning)
        found, end = least(fitting.look, (low, high), few.look, part)
        alpha = float(np.exp(found))
        beta = fitting.beta(scaled_moments(fitting.of_classes_s, alpha)[0] - fitting.sum_u)
        if fitting.of_s.all() or not fitting.of_s.any():
            return {"alpha": 1.0, "beta": 0.0, REFUSED: beta}
        if end is not None:
            return {"alpha": 1.0, "beta": 0.0, REFUSED: float(np.exp(end))}
        return {"alpha": alpha, "beta": beta}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        return np.where(fine_tuning, state["alpha"] * inputs.logits + state["beta"], inputs.logits)


@dataclass(frozen=True)
class _Fitting:
    """What the loss at any α is computed from, for N samples.

    Attributes
    ----------
    of_classes_s
        (N, |S|) logits of S.
    sum_u
        (N,) log Σ exp(z) over U.
    own
        (N,) the logit of the label.
    of_s
        (N,) bool, the label is of S.
    """

    of_classes_s: np.ndarray
    sum_u: Floats
    own: Floats
    of_s: Mask

    @classmethod
    def of(cls, logits: np.ndarray, labels: np.ndarray, fine_tuning: Mask) -> _Fitting:
        own = logits[np.arange(len(labels)), labels].astype(np.float64)
        return cls(logits[:, fine_tuning], log_sum_exp(logits, ~fine_tuning)[:, 0], own, fine_tuning[labels])

    def beta(self, gaps: Floats) -> float:
        """Return the β with mean sigmoid(gap + β) = the part of S; the mean rises with β."""
        share = float(self.of_s.mean())

        def slope(beta: float) -> tuple[float, float]:
            likely = _sigmoid(gaps + beta)
            return float(likely.mean()) - share, float((likely * (1 - likely)).mean())

        return root(slope, (-float(gaps.max()) - 40, -float(gaps.min()) + 40), -float(np.median(gaps)))

    def look(self, log_alpha: float) -> Look:
        """Return the loss at an α with its best β, its derivative by α, and this one's derivative by log α.

        At the best β the derivative by β is 0. The loss is convex in α and β, and so in α with the best β.
        """
        alpha = float(np.exp(log_alpha))
        sum_s, mean, variance = scaled_moments(self.of_classes_s, alpha)
        beta = self.beta(sum_s - self.sum_u)
        total = np.logaddexp(sum_s + beta, self.sum_u)
        loss = float((total - np.where(self.of_s, alpha * self.own + beta, self.own)).mean())
        likely = _sigmoid(sum_s + beta - self.sum_u)  # (N,) the probability of S
        slope = float((likely * mean - np.where(self.of_s, self.own, 0)).mean())
        weights = likely * (1 - likely)
        apart = mean - float(weights @ mean) / max(float(weights.sum()), 1e-300)
        return Look(loss, slope, alpha * float((likely * variance + weights * apart * apart).mean()))


def _sigmoid(x: Floats) -> Floats:
    values: Floats = 0.5 * (1 + np.tanh(0.5 * x))
    return values
