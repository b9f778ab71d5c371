"""Accuracies of every classifier and calibrator as lines of text, per sample and per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from finecal import display
from finecal.metrics.per_class import MACRO

if TYPE_CHECKING:
    import pandas as pd

PER_SAMPLE = ("acc_y_y", "acc_s_y", "acc_u_y", "acc_u_u", "ausuc")
PER_CLASS = tuple(f"{MACRO}{name}" for name in (*PER_SAMPLE, "f1"))
WIDTH = 34  # of the names of methods
METHOD = ["classifier", "calibrator"]


def accuracy_lines(metrics: pd.DataFrame) -> list[str]:
    """Return the lines of two tables: averages per sample with the numbers of test samples, and averages per class.

    Parameters
    ----------
    metrics
        The rows of a metrics.parquet.
    """
    counts = metrics.drop_duplicates("metric").set_index("metric")["n"]
    samples = f"{'test samples':<{WIDTH}}" + "".join(f"{counts[name]:>10,}" for name in PER_SAMPLE)
    per_class = _lines(metrics, PER_CLASS, f"averaged per class ({MACRO}…)")
    return [*_lines(metrics, PER_SAMPLE, "averaged per sample"), samples, "", *per_class]


def _lines(metrics: pd.DataFrame, names: Sequence[str], title: str) -> list[str]:
    """Return a heading, and a line for each method in order of appearance."""
    values: Any = metrics[metrics["metric"].isin(names)].set_index([*METHOD, "metric"])["value"].unstack()
    shown = values.loc[metrics[METHOD].drop_duplicates().itertuples(index=False, name=None), list(names)]
    reads = metrics.drop_duplicates("calibrator").set_index("calibrator")["reads"].to_dict()
    lines = [f"{title:<{WIDTH}}" + "".join(f"{name.removeprefix(MACRO):>10}" for name in names)]
    for (classifier, calibrator), row in shown.iterrows():
        bound = display.reads_test(reads.get(calibrator, "")) or classifier == "oracle_fine_tuning"
        words = display.marked(display.method(classifier, calibrator), bound)
        lines.append(f"{words:<{WIDTH}}" + "".join(f"{display.number(value, 1, 4):>10}" for value in row))
    return lines
