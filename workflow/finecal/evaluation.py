"""All metrics of one run, tidy: one row per classifier × calibrator × metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal import metrics
from finecal.metrics import SeenUnseenCurve, class_means, group_maxima, ncm_scores

PRETRAINED, FINE_TUNED, ORACLE = "pretrained", "fine_tuned", "oracle_fine_tuning"
OF_FINE_TUNING = frozenset({"acc_s_y", "acc_s_s"})  # metrics of the samples of S alone


def score(
    logits: npt.NDArray[Any], labels: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_]
) -> tuple[dict[str, tuple[float, int]], SeenUnseenCurve]:
    """Every metric of (N, C) logits as name → (value, number of samples), and the seen–unseen curve.

    Without a sample of U only the accuracies of S are known; what speaks of all classes is NaN, of 0 samples.
    """
    maxima = group_maxima(logits, fine_tuning)
    values: dict[str, tuple[float, int]] = {k: (s.value, s.n) for k, s in maxima.accuracies(labels).items()}
    curve = maxima.curve(labels)
    n = len(labels)
    values["harmonic_mean"] = (metrics.harmonic_mean(values["acc_s_y"][0], values["acc_u_y"][0]), n)
    values["ausuc"] = (curve.ausuc, n)
    values["nll"] = (metrics.negative_log_likelihood(logits, labels), n)
    values["ece"] = (metrics.expected_calibration_error(logits, labels), n)
    if not curve.n_u:
        values |= {name: (float("nan"), 0) for name in values if name not in OF_FINE_TUNING}
    return values, curve


def score_ncm(
    train: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    test: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    fine_tuning: npt.NDArray[np.bool_],
) -> dict[str, tuple[float, int]]:
    """Accuracies of the nearest class mean, `ncm_acc_…`, from (features, labels) of train and test samples.

    The means are those of all classes: this measures features, it is no classifier one could deploy. Where no class of
    U has both training and test samples it is not measured: NaN, of 0 samples. A single class without training samples
    counts as wrong, as in the published code.
    """
    means = class_means(*train, num_classes=len(fine_tuning))
    scores = metrics.accuracies(ncm_scores(test[0], means), test[1], fine_tuning)
    found = {f"ncm_{name}": (s.value, s.n) for name, s in scores.items()}
    measured = (~fine_tuning & ~np.isnan(means).any(axis=1))[test[1]].any()
    return found if measured else dict.fromkeys(found, (float("nan"), 0))


def rows(classifier: str, calibrator: str, reads: str, values: Mapping[str, tuple[float, int]]) -> list[dict[str, Any]]:
    """The tidy rows of one classifier and calibrator."""
    return [
        {"classifier": classifier, "calibrator": calibrator, "reads": reads, "metric": name, "value": value, "n": n}
        for name, (value, n) in values.items()
    ]
