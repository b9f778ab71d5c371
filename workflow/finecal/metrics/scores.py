"""Compute all metrics of one run, tidy: a row for each classifier, calibrator and metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError
from finecal.metrics import classification
from finecal.metrics.classification import GroupMaxima, SeenUnseenCurve, Softmax, class_means, group_maxima, ncm_scores
from finecal.metrics.curve import mean
from finecal.metrics.per_class import MACRO, macro_metrics
from finecal.metrics.softmax import log_sum_exp

PRETRAINED, FINE_TUNED, ORACLE = "pretrained", "fine_tuned", "oracle_fine_tuning"
# Metrics of the samples of S alone.
OF_FINE_TUNING = frozenset({"acc_s_y", "acc_s_s", f"{MACRO}acc_s_y", f"{MACRO}acc_s_s"})


def score(
    logits: npt.NDArray[Any], labels: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_]
) -> tuple[dict[str, tuple[float, int]], SeenUnseenCurve]:
    """Return every metric of (N, C) logits as name → (value, number of samples), and the seen–unseen curve.

    Without a sample of U only the accuracies of S are known; metrics of all classes are NaN, of 0 samples.
    """
    return _values(group_maxima(logits, fine_tuning), classification.softmax(logits, labels), labels)


@dataclass(frozen=True)
class AnyGamma:
    """What one pass over logits (N, C) gives, from which every metric at any γ follows.

    With γ on all logits of U their maximum moves by γ, and so does log Σ exp over U.

    Attributes
    ----------
    maxima
        Of S and of U.
    log_sum_s, log_sum_u
        (N,) log Σ_c exp(z_c) over S and over U.
    own
        (N,) the logit of the label.
    labels
        (N,).
    """

    maxima: GroupMaxima
    log_sum_s: npt.NDArray[np.float64]
    log_sum_u: npt.NDArray[np.float64]
    own: npt.NDArray[np.float64]
    labels: npt.NDArray[Any]

    @classmethod
    def of(cls, logits: npt.NDArray[Any], labels: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_]) -> AnyGamma:
        """Compute it from finite float64 logits (N, C)."""
        of_s, of_u = (log_sum_exp(logits[:, group])[:, 0] for group in (fine_tuning, ~fine_tuning))
        return cls(group_maxima(logits, fine_tuning), of_s, of_u, logits[np.arange(len(labels)), labels], labels)

    def score(self, gamma: float) -> dict[str, tuple[float, int]]:
        """Return the metrics that `score` finds for the logits with γ added to those of U.

        Raises
        ------
        UserError
            If γ is not finite.
        """
        if not np.isfinite(gamma):
            raise UserError(f"γ is {gamma}", why="It must be finite: probabilities are computed with it")
        maxima = replace(self.maxima, value_u=self.maxima.value_u + gamma)
        of_u = ~self.maxima.fine_tuning[self.labels]
        log_sum = np.logaddexp(self.log_sum_s, self.log_sum_u + gamma)
        largest = np.maximum(maxima.value_s, maxima.value_u)
        right = maxima.predictions() == self.labels
        probabilities = Softmax(log_sum - self.own - gamma * of_u, np.exp(largest - log_sum), right)
        return _values(maxima, probabilities, self.labels)[0]


def _values(
    maxima: GroupMaxima, probabilities: Softmax, labels: npt.NDArray[Any]
) -> tuple[dict[str, tuple[float, int]], SeenUnseenCurve]:
    values: dict[str, tuple[float, int]] = {k: (s.value, s.n) for k, s in maxima.accuracies(labels).items()}
    curve = maxima.curve(labels)
    n = len(labels)
    values["harmonic_mean"] = (classification.harmonic_mean(values["acc_s_y"][0], values["acc_u_y"][0]), n)
    values["ausuc"] = (curve.ausuc, n)
    values["nll"] = (mean(probabilities.losses), n)
    values["ece"] = (classification.calibration_error(probabilities), n)
    values |= macro_metrics(maxima, labels, curve)
    if not curve.n_u:
        values |= {name: (float("nan"), 0) for name in values if name not in OF_FINE_TUNING}
    return values, curve


def score_ncm(
    train: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    test: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    fine_tuning: npt.NDArray[np.bool_],
) -> dict[str, tuple[float, int]]:
    """Return accuracies of the nearest class mean, `ncm_acc_…`, from (features, labels) of train and test samples.

    The means are those of all classes: this measures the features and is no classifier to deploy. If no class of U has
    both training and test samples, the result is NaN, of 0 samples. Samples of a class without training samples count
    as wrong, as in the published code.
    """
    means = class_means(*train, num_classes=len(fine_tuning))
    scores = classification.accuracies(ncm_scores(test[0], means), test[1], fine_tuning)
    found = {f"ncm_{name}": (s.value, s.n) for name, s in scores.items()}
    measured = (~fine_tuning & ~np.isnan(means).any(axis=1))[test[1]].any()
    return found if measured else dict.fromkeys(found, (float("nan"), 0))


def rows(classifier: str, calibrator: str, reads: str, values: Mapping[str, tuple[float, int]]) -> list[dict[str, Any]]:
    """Return the tidy rows of one classifier and calibrator."""
    return [
        {"classifier": classifier, "calibrator": calibrator, "reads": reads, "metric": name, "value": value, "n": n}
        for name, (value, n) in values.items()
    ]
