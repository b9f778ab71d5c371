"""Sentences behind the advice: how far γ can get, what would help more, what was fitted, and what it costs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from finecal import display
from finecal.analysis.intervals import difference_of
from finecal.analysis.statistics import paired_difference, row_of, runs_of

FAR = 0.1  # of nearest class means on U above γ*, from which labels of U are advised
WEAK = 0.5  # accuracy on U of a pretrained model, below which it is called weak


def limit(part: pd.DataFrame, beyond: str) -> str:
    """How far γ can get where something else was damaged: with γ → ∞ the arg-max is among the absent classes alone."""
    row = row_of(part, "acc_u_u", "fine_tuned")
    words = f"γ cannot repair {beyond}"
    if row is None or not row["n_samples"]:
        return f"{words}."
    n = display.over(int(row["n_runs"]), int(row["n_samples"]))
    return f"{words}: with any γ the accuracy on absent classes is at most acc_u_u = {percent(row)} ({n})."


def labels_help(metrics: pd.DataFrame) -> str:
    """That labelled images of U would help more, where nearest class means are far above what γ reaches."""
    means = runs_of(metrics, "ncm_acc_u_y", "fine_tuned")
    reached = runs_of(metrics, "acc_u_y", "fine_tuned", "oracle")
    if means is None or reached is None:
        return ""
    gap = difference_of(means, reached)
    if not (gap.low > 0 and gap.mean >= FAR):
        return ""
    return (
        f"Labels would help more: with class means of labelled training samples of U the accuracy on absent classes is "
        f"{display.number(float(means.values.mean()))} %, {display.points(*gap[:3])} against γ* (an upper bound). "
        "Label a few samples of the absent classes."
    )


def weak_pretrained(part: pd.DataFrame) -> str:
    """That the pretrained model is weak itself, where it is."""
    row = row_of(part, "acc_u_y", "pretrained")
    if row is None or not row["high"] < WEAK:
        return ""
    return (
        f"The pretrained model itself is weak here: {percent(row)} on the absent classes. γ gives back what "
        "fine-tuning took, not what was never there."
    )


def fitted(part: pd.DataFrame, parameters: pd.DataFrame) -> str:
    """γ of every calibrator that is one, with its price, where nothing says which is best."""
    own = parameters[(parameters["parameter"] == "gamma") & (parameters["calibrator"] != "oracle")]
    values = []
    for name, found in own.groupby("calibrator", sort=False)["value"]:
        cost = price(part, str(name))
        gamma = f"{display.calibrator(str(name))} γ = {display.number(found.mean(), 1, 2)}"
        values.append(f"{gamma} (fine-tuning classes {cost})" if cost else gamma)
    if not values:
        return ""
    plain = row_of(part, "acc_s_y", "fine_tuned")
    now = f" The accuracy on the fine-tuning classes is {percent(plain)} without." if plain is not None else ""
    return f"What was fitted without them, and its price: {', '.join(values)}.{now}"


def price(part: pd.DataFrame, calibrator: str) -> str:
    """What a calibrator changes of the accuracy on fine-tuning classes, in points; empty if it was not measured."""
    row = row_of(part, "acc_s_y", "fine_tuned", calibrator)
    return display.points(*paired_difference(row)[:3]) if row is not None and row["n_pairs"] > 0 else ""


def percent(row: Any) -> str:
    """Return a row's mean in % with its interval."""
    mean, _, bounds = display.interval(row["mean"], row["low"], row["high"]).partition(" ")
    return f"{mean} % {bounds}".rstrip()
