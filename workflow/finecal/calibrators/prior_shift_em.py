"""The class frequencies of the target domain, estimated on unlabelled data by EM, in place of those trained on."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from finecal.calibration.added import AddShift
from finecal.calibration.contract import Data, Fitted, Floats, Labelled, Unlabelled, log_prior
from finecal.config import Count, Model, Positive
from finecal.metrics.softmax import log_softmax, mean_posterior

PAPER = (
    "Saerens et al. 2002, Adjusting the outputs of a classifier to new a priori probabilities, Neural Computation 14"
)
READS = frozenset({"target_unlabelled", "train_fine_tuning", "set_by_hand"})
SMALLEST = 1e-12  # of an estimated frequency: no class is ruled out


class Options(Model):
    """The smoothing of the frequencies trained on, and when EM ends."""

    smoothing: Positive = Field(
        1.0, description="Samples added to each class's count, so that the classes of U have a frequency."
    )
    iterations: Count = Field(1000, description="Most iterations of EM.")
    tolerance: Positive = Field(1e-6, description="EM ends when no frequency changes by more than this.")


class Calibrator(AddShift):
    """z + log π_t − log π_s, with π_t by EM from softmax(z) on unlabelled target data.

    π_s are the frequencies trained on. Those of U are zero, so counts are smoothed: the smaller `smoothing`, the
    more U gains, and nothing but a hand sets it. That is why the counts of S are read too. The fixed point of EM
    maximises the likelihood of the unlabelled samples; a frequency stays above 1e-12. These are the training samples of
    all classes, and the model has fitted those of S: it is surer of them than of others.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        train: Labelled = data["train_fine_tuning"]
        unlabelled: Unlabelled = data["target_unlabelled"]
        log_source = log_prior(train.labels, len(data.fine_tuning), self.options.smoothing)
        ratio = log_softmax(unlabelled.logits) - log_source
        ratio = np.exp(ratio - ratio.max(axis=1, keepdims=True))  # p / π_s, each sample in a scale of its own
        target: Floats = np.exp(log_source)
        for _ in range(self.options.iterations):
            before = target
            target = np.maximum(mean_posterior(ratio, before), SMALLEST)
            target /= target.sum()
            if np.abs(target - before).max() <= self.options.tolerance:
                break
        return {"shift": np.log(target) - log_source}
