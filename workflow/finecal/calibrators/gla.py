"""GLA: both models' logits, each without the class frequencies that it was trained on, are added."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from finecal.calibration.contract import Data, Fitted, Floats, Labelled, Mask, State, Unlabelled, log_prior
from finecal.config import Count, Model, Positive
from finecal.metrics.softmax import log_softmax, mean_posterior

PAPER = "Zhu et al. 2023, Generalized logit adjustment (arXiv 2310.08106)"
READS = frozenset({"train_fine_tuning", "pretrained", "set_by_hand"})
TAKES = frozenset({"pretrained"})


LARGEST_SPREAD = 300.0  # of biases, in units of a logit


class Options(Model):
    """How the class frequencies of both models are estimated."""

    smoothing: Positive = Field(
        1.0, description="Samples added to each class's count, so that the classes of U have a frequency."
    )
    iterations: Count = Field(100, description="Iterations of the estimate of the pretrained model's frequencies.")


class Calibrator:
    """(z − log π_s) + (z⁰ − log π_p).

    π_s are the smoothed frequencies trained on; those of U are what `smoothing` says, which is a γ set by hand as in
    `logit_adjustment`. π_p, those of pretraining, are not known: as in the paper they
    are the frequencies that make z⁰ − log π_p fit the training data of S best (smallest cross-entropy over the
    classes of S, found by making the mean probability of each class its part of the samples). That data says
    nothing of U, whose classes get the mean of log π_p over S.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        tuned = log_prior(train.labels, len(data.fine_tuning), self.options.smoothing)
        bias = self._pretrained_bias(train["pretrained"], train.labels, data.fine_tuning)
        return {"shift": bias - tuned}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        both: Floats = inputs.logits + inputs["pretrained"] + state["shift"]
        return both

    def _pretrained_bias(self, logits: np.ndarray, labels: np.ndarray, fine_tuning: Mask) -> Floats:
        """Return (C,) −log π_p up to a constant for classes with samples, and the mean of these for all others."""
        counts = np.bincount(labels, minlength=len(fine_tuning))
        there = fine_tuning & (counts > 0)
        z, wanted = logits[:, there].astype(np.float64), np.log(counts[there] / counts[there].sum())
        odds = np.exp(z - z.max(axis=1, keepdims=True))
        bias = np.zeros(z.shape[1])
        for _ in range(self.options.iterations):
            bias += wanted - np.log(np.maximum(_mean_probabilities(z, odds, bias), 1e-12))
            bias -= bias.mean()
        full = np.zeros(len(fine_tuning))
        full[there] = bias
        return full

    def deployed(self, state: State) -> dict[str, Any]:
        """See `finecal.export.standalone`."""
        return {"kind": "ensemble", "weight_pretrained": 1.0, "weight_fine_tuned": 1.0, "shift": state["shift"]}


def _mean_probabilities(logits: Floats, odds: Floats, bias: Floats) -> Floats:
    """Return (C,) the mean of softmax(z + bias) over (N, C) logits z, whose exp(z − max) are `odds`.

    Σ_c odds_c exp(bias_c) takes the place of new exponentials in every step. What is too small for float64 in
    the odds, e^−700, would be nothing beside the largest term as long as no bias is hundreds above another.
    """
    if np.ptp(bias) > LARGEST_SPREAD:
        mean: Floats = np.exp(log_softmax(logits + bias)).mean(axis=0)
        return mean
    return mean_posterior(odds, np.exp(bias - bias.max()))
