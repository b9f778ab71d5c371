"""Temperature scaling: the arg-max stays, so it brings no class back; a control, and what NLL and ECE need."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from finecal.calibration.contract import Data, Fitted, Floats, Labelled, Mask, State, Unlabelled
from finecal.config import Model, Positive
from finecal.metrics.classification import negative_log_likelihood

PAPER = "Guo et al. 2017, On calibration of modern neural networks (arXiv 1706.04599)"
READS = frozenset({"train_fine_tuning"})


class Options(Model):
    """The range of the temperature."""

    smallest: Positive = Field(0.01, description="Smallest temperature.")
    largest: Positive = Field(100.0, description="Largest temperature.")

    @model_validator(mode="after")
    def _ordered(self) -> Options:
        if self.smallest >= self.largest:
            raise ValueError("`smallest` must be below `largest`")
        return self


class Calibrator:
    """z / T with the T that minimises the negative log-likelihood of the training data of S."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        from scipy.optimize import minimize_scalar

        train: Labelled = data["train_fine_tuning"]
        z = train.logits.astype(np.float64)
        bounds = np.log([self.options.smallest, self.options.largest])
        found = minimize_scalar(
            lambda log_t: negative_log_likelihood(z / np.exp(log_t), train.labels), bounds=bounds, method="bounded"
        )
        return {"temperature": float(np.exp(found.x))}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        scaled: Floats = inputs.logits / state["temperature"]
        return scaled
