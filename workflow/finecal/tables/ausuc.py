"""AUSUC, the area under the seen–unseen curve, from 0 to 1: mean over runs [95 % interval]. Both axes are
accuracies per test sample, as in the paper; “per class” is the area with both averaged per class, which the literature
on generalised zero-shot learning calls AUSUC too. Δ is the paired difference to plain fine-tuning. † An upper bound: it
trains on all classes.

T2 of Mai et al. 2024 (arXiv 2409.16223). Adding γ moves along the curve and does not change its area, so
there are no calibrators here.
"""

from __future__ import annotations

import pandas as pd

from finecal.tables import _methods

NEEDS = ("metrics",)
TITLES = {"ausuc": "AUSUC", "macro_ausuc": "AUSUC per class"}


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `finecal.analysis.statistics.summarise` and upper_bound; AUSUC lies in [0, 1]."""
    return _methods.summary_of(metrics[metrics["calibrator"] == "none"], list(TITLES))


def present(tidy: pd.DataFrame) -> pd.DataFrame:
    """Return one row of texts per classifier."""
    return _methods.present(tidy, TITLES, scale=1, digits=3)
