"""What trains decides what is damaged: full fine-tuning beside recipes that keep parts of the model as they were.
AUSUC per test sample, and accuracy of the test samples of absent classes U among all classes by the network's own head
and by the nearest class mean of its features (NCM), before (hollow, above) and after fine-tuning (filled, below). Marks
are means over runs with 95 % intervals.

A2 of Mai et al. 2024 (arXiv 2409.16223).
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from finecal.figures import _compare

AXIS = "recipe"
NEEDS = ("metrics",)
ABSENT = True


def draw(metrics: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure; return it with the numbers of `_compare.numbers`."""
    data = _compare.numbers(metrics, "recipe")
    return _compare.draw(data), data
