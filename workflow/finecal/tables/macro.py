"""Every method averaged per class: mean over runs [95 % interval] of macro recall on all classes, on S and on U, their
harmonic mean, and macro F1, in %, and of AUSUC, the area under the seen–unseen curve, with both axes per class, from 0
to 1. Every class that has test samples counts the same, however many it has; the other tables average per test sample,
as the paper does. Δ is the paired difference to plain fine-tuning. † An upper bound, not a method: it reads test labels
or trains on all classes.

Per class is the average of the literature on generalised zero-shot learning; WILDS reports macro recall and macro F1 of
iWildCam.
"""

from __future__ import annotations

import pandas as pd

from finecal.tables import _methods

NEEDS = ("metrics",)
TITLES = {
    "macro_acc_y_y": "all classes",
    "macro_acc_s_y": "S",
    "macro_acc_u_y": "U",
    "macro_harmonic_mean": "harmonic mean",
    "macro_f1": "F1",
}
AREA = {"macro_ausuc": "AUSUC"}


def build(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `finecal.analysis.statistics.summarise` and upper_bound; all means lie in [0, 1]."""
    return _methods.summary_of(metrics, [*TITLES, *AREA])


def present(tidy: pd.DataFrame) -> pd.DataFrame:
    """Return one row of texts per method."""
    shown, areas = _methods.present(tidy, TITLES), _methods.present(tidy, AREA, scale=1, digits=3)
    place = list(shown.columns).index("trainings")
    for offset, (title, column) in enumerate(areas[[f for t in AREA.values() for f in (t, f"Δ {t}")]].items()):
        shown.insert(place + offset, title, column)
    return shown
