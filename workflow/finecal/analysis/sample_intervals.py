"""Intervals for one run, over its test samples: those over runs need several.

They speak of other test samples like these. What differs between trainings is not in them, so they are no substitute
for seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finecal.analysis.statistics import paired_interval
from finecal.calibration.inputs import Predictions
from finecal.metrics.classification import class_means, group_maxima, ncm_scores

Right = Mapping[str, npt.NDArray[np.bool_]]
PLAIN = ("fine_tuned", "none")
FEWEST = 20  # samples: with fewer the bootstrap's intervals are far too narrow, and there is none


def right(scores: npt.ArrayLike, labels: npt.NDArray[np.integer[Any]], fine_tuning: npt.NDArray[np.bool_]) -> Right:
    """Name of an accuracy → (n,) bool: which of the samples that it counts are right.

    Parameters
    ----------
    scores
        (N, C) logits, or what takes their place.
    labels
        (N,) integer.
    fine_tuning
        (C,) bool: the classes of S.

    >>> right([[2.0, 1.0, 0.0], [2.0, 0.0, 1.0]], np.array([0, 2]), np.array([True, False, False]))["acc_u_u"]
    array([ True])
    """
    maxima, of_s = group_maxima(scores, fine_tuning), fine_tuning[labels]
    predicted = maxima.predictions() == labels
    return {
        "acc_y_y": predicted,
        "acc_s_y": predicted[of_s],
        "acc_u_y": predicted[~of_s],
        "acc_s_s": (maxima.class_s == labels)[of_s],
        "acc_u_u": (maxima.class_u == labels)[~of_s],
    }


def right_of(predictions: Predictions, fine_tuning: npt.NDArray[np.bool_]) -> Right:
    """`right` of a classifier's test samples; `ncm_…` too, where there are features and training samples."""
    train, test = predictions.train, predictions.test
    labels = predictions.labels[test]
    found = dict(right(predictions.logits[test], labels, fine_tuning))
    if predictions.features is not None and train.any():
        means = class_means(predictions.features[train], predictions.labels[train], len(fine_tuning))
        of_ncm = right(ncm_scores(predictions.features[test], means), labels, fine_tuning)
        found |= {f"ncm_{metric}": ok for metric, ok in of_ncm.items()}
    return found


def with_intervals(summary: pd.DataFrame, found: Mapping[tuple[str, str], Right]) -> pd.DataFrame:
    """The summary of one run, its accuracies and their differences to plain fine-tuning with intervals over samples.

    Parameters
    ----------
    summary
        From `finecal.analysis.statistics.summarise`.
    found
        (classifier, calibrator) → what is right, by metric. What is not in it stays without an interval, and so does
        what has fewer samples than `FEWEST`.
    """
    made = summary.copy()
    for place, row in summary.iterrows():
        own = found.get((row["classifier"], row["calibrator"]), {}).get(row["metric"])
        if own is None or len(own) < FEWEST or row["n_runs"] != 1:
            continue
        made.loc[place, ["low", "high"]] = paired_interval(own.astype(int))[1:3]
        plain = found.get(PLAIN, {}).get(row["metric"])
        if plain is not None and row["n_pairs"] == 1:
            pairs = paired_interval(own.astype(int) - plain.astype(int))
            made.loc[place, ["difference_low", "difference_high"]] = pairs[1:3]
    return made
