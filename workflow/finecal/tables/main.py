"""Accuracy of every method in %, per test sample: mean over runs [95 % interval]. Δ is the paired
difference to plain fine-tuning in points; S are the fine-tuning classes, U the absent ones; “train S” is the training
data of S, NCM the nearest class mean. † An upper bound, not a method: it reads test labels or trains on all classes.

T1 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

import pandas as pd

from finecal.tables import _methods

NEEDS = ("metrics",)
TITLES = {"acc_y_y": "all classes", "acc_s_y": "S", "acc_u_y": "U"}


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `finecal.analysis.statistics.summarise` and upper_bound; accuracies are fractions."""
    return _methods.summary_of(metrics, list(TITLES))


def present(tidy: pd.DataFrame) -> pd.DataFrame:
    """Return one row of texts per method."""
    return _methods.present(tidy, TITLES)
