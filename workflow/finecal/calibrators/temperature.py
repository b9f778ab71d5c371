"""Temperature scaling: the arg-max stays, so it brings no class back; a control, and what NLL and ECE need."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

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
from finecal.calibrators._temperature import best_temperature
from finecal.config import Model, Positive

PAPER = "Guo et al. 2017, On calibration of modern neural networks (arXiv 1706.04599)"
READS = frozenset({"validation"})


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
    """z / T with the T that minimises the negative log-likelihood of labelled validation data of all classes.

    These samples must be held out from training: on samples that it has fitted, a model is right nearly always, and any
    T that makes it surer looks better. And absent classes must be among them, since they are what it is sure and wrong
    about. Where an end of the range is as good as any T in it, as for samples that are all right, or where all samples
    are of S or of U, the T is refused: `refused` says what it was, and T is 1.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        validation: Labelled = data["validation"]
        labels = validation.labels
        best, end = best_temperature(validation.logits, labels, self.options.smallest, self.options.largest)
        of_s = data.fine_tuning[labels]
        if end is not None or of_s.all() or not of_s.any():
            return {"temperature": 1.0, REFUSED: float(np.exp(best if end is None else end))}
        return {"temperature": float(np.exp(best))}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        scaled: Floats = inputs.logits / state["temperature"]
        return scaled
