"""IL2M: where S wins, the absent classes get back the confidence that they had in the pretrained model."""

from __future__ import annotations

from typing import Any

import numpy as np

from finecal.calibration.added import Added
from finecal.calibration.contract import Data, Fitted, Floats, Labelled, Mask, State, Unlabelled
from finecal.config import Model
from finecal.metrics.softmax import log_softmax

PAPER = "Belouadah and Popescu 2019, IL2M: class incremental learning with dual memory, ICCV"
READS = frozenset({"validation", "pretrained"})
SMALLEST = np.log(1e-12)  # of a mean probability: the ratio of two stays finite


class Options(Model):
    """No options."""


class Calibrator:
    """Where the arg-max is in S: p_u · (μ⁰_u / μ_u) · (conf / conf⁰) for u ∈ U.

    p is the softmax; μ_u its mean for u on the validation samples of u; ⁰ marks the pretrained model. conf is the mean
    of the largest entry over the samples of the classes that were new to a model when it was trained: S for the
    fine-tuned one, all of Y for the pretrained one. Probabilities, since a ratio of logits means nothing where they are
    negative. Means stay above 1e-12; a class without a validation sample has μ⁰ / μ = 1, and without one of S
    conf / conf⁰ is 1. Returned are logits: z_u plus the logarithm of the factor.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        validation: Labelled = data["validation"]
        after, largest = _means(validation.logits, validation.labels, len(data.fine_tuning))
        before, largest_before = _means(validation["pretrained"], validation.labels, len(data.fine_tuning))
        of_s = data.fine_tuning[validation.labels]
        confidence = np.log(largest[of_s].mean() / largest_before.mean()) if of_s.any() else 0.0
        factor = before - after + confidence
        return {"log_factor": np.where(data.fine_tuning, 0.0, factor)}

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        s_wins = fine_tuning[inputs.logits.argmax(axis=1)]
        rectified: Floats = inputs.logits + s_wins[:, None] * state["log_factor"]
        return rectified

    def added(self, state: State, fine_tuning: Mask) -> Added:
        """See `finecal.calibration.added`."""
        return Added(shift=np.asarray(state["log_factor"]), rows=lambda plain: fine_tuning[plain.maxima.predictions()])

    def deployed(self, state: State) -> dict[str, Any]:
        """See `finecal.export.standalone`."""
        return {"kind": "shift_where_s_wins", "shift": state["log_factor"]}


def _means(logits: Floats, labels: np.ndarray, num_classes: int) -> tuple[Floats, Floats]:
    """Return (C,) log of each class's mean probability on its samples, 0 without any; (N,) largest probabilities."""
    logs = log_softmax(logits)
    counts = np.bincount(labels, minlength=num_classes)
    own = np.bincount(labels, weights=np.exp(logs[np.arange(len(logs)), labels]), minlength=num_classes)
    mean = np.where(counts > 0, own / np.maximum(counts, 1), 1.0)
    means: Floats = np.maximum(np.log(np.maximum(mean, 1e-300)), SMALLEST)
    return means, np.exp(logs.max(axis=1))
