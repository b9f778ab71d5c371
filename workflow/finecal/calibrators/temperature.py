"""Temperature scaling: the arg-max stays, so it brings no class back; a control, and what NLL and ECE need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from finecal.calibration import Data, Labelled
from finecal.config import Model, Positive
from finecal.metrics import negative_log_likelihood

READS = frozenset({"train_fine_tuning"})


class Options(Model):
    """Where the temperature is looked for."""

    smallest: Positive = Field(0.01, description="Smallest temperature.")
    largest: Positive = Field(100.0, description="Largest temperature.")

    @model_validator(mode="after")
    def _ordered(self) -> Options:
        if self.smallest >= self.largest:
            raise ValueError("`smallest` must be below `largest`")
        return self


class Calibrator:
    """z / T with the T that minimises the negative log-likelihood of the training data of S. Guo et al. 2017."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> dict[str, float]:
        from scipy.optimize import minimize_scalar

        train: Labelled = data["train_fine_tuning"]
        z = train.logits.astype(np.float64)
        bounds = np.log([self.options.smallest, self.options.largest])
        found = minimize_scalar(
            lambda log_t: negative_log_likelihood(z / np.exp(log_t), train.labels), bounds=bounds, method="bounded"
        )
        return {"temperature": float(np.exp(found.x))}

    def apply(
        self, logits: npt.NDArray[Any], state: Mapping[str, float], fine_tuning: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        return logits / state["temperature"]
