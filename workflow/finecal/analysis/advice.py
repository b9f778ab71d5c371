"""What to do: the best calibrator without test labels or numbers set by hand, or none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from finecal import display
from finecal.analysis.statistics import NAN, paired_difference, row_of

NO_ABSENT = "No test sample is of an absent class, so what calibration is worth cannot be measured here."


@dataclass(frozen=True)
class Advice:
    """The calibrator to use, and what it does to acc_y_y; calibrator "none" where no method helps."""

    calibrator: str
    reads: str
    acc_y_y: float
    difference: float
    low: float
    high: float
    n_runs: int
    gamma_mean: float
    gamma_spread: float
    words: str


def advise(part: pd.DataFrame, parameters: pd.DataFrame, beyond: str = "") -> Advice:
    """The advice for one setting.

    Parameters
    ----------
    part, parameters
        Its rows of the summary and of the calibration table.
    beyond
        What was damaged that no γ can repair, in words.
    """
    found = _advice(part, parameters)
    limit = _limit(part, beyond) if beyond else ""
    return replace(found, words=f"{found.words} {limit}".rstrip())


def _limit(part: pd.DataFrame, beyond: str) -> str:
    """How far γ can get where something else was damaged: with γ → ∞ the arg-max is among the absent classes alone."""
    row = row_of(part, "acc_u_u", "fine_tuned")
    words = f"γ cannot repair {beyond}"
    if row is None or not row["n_samples"]:
        return f"{words}."
    n = display.over(int(row["n_runs"]), int(row["n_samples"]))
    return f"{words}: with any γ the accuracy on absent classes is at most acc_u_u = {_percent(row)} ({n})."


def _advice(part: pd.DataFrame, parameters: pd.DataFrame) -> Advice:
    plain = row_of(part, "acc_y_y", "fine_tuned")
    usable = part[
        (part["metric"] == "acc_y_y") & (part["classifier"] == "fine_tuned") & (part["calibrator"] != "none")
        & part["reads"].map(display.ranked).astype(bool) & (part["n_pairs"] > 0)
    ]  # fmt: skip
    if plain is not None and plain["n_samples"] == 0:
        words = f"{NO_ABSENT} {_fitted(parameters)}"
        return Advice("none", "", NAN, NAN, NAN, NAN, 0, NAN, NAN, words)
    if plain is None or usable.empty:
        words = "No calibrator without test labels was computed."
        return Advice("none", "", NAN, NAN, NAN, NAN, 0, NAN, NAN, words)
    best: Any = usable.iloc[int(usable["mean"].argmax())]
    gain, name = paired_difference(best), display.calibrator(str(best["calibrator"]))
    if gain.mean <= 0 or (gain.known and gain.low <= 0):
        words = (
            f"Leave the model as it is: accuracy over all classes {_percent(plain)}. The best method without "
            f"test labels or numbers set by hand, {name}, changes it by {display.points(*gain[:3])}: no gain beyond "
            "uncertainty."
        )
        return Advice("none", "", float(plain["mean"]), 0.0, NAN, NAN, int(plain["n_runs"]), NAN, NAN, words)
    own = (parameters["calibrator"] == best["calibrator"]) & (parameters["parameter"] == "gamma")
    values = parameters[own]["value"]
    mean, spread = (float(values.mean()), float(values.std(ddof=1))) if len(values) else (NAN, NAN)
    how = f"Use {name}"
    if len(values) == 1:
        how = f"Add γ = {display.number(mean, 1, 2)} ({name}; one run, no spread) to the absent logits"
    elif len(values):
        gamma = f"{display.number(mean, 1, 2)} ± {display.number(spread, 1, 2)}"
        how = f"Add γ = {gamma} ({name}; mean ± standard deviation over runs) to the absent logits"
    over = display.over(gain.n, int(best["n_samples"]))
    words = (
        f"{how}: accuracy over all classes {_percent(best)}, {display.points(*gain[:3])} against plain fine-tuning "
        f"({over}). It reads {display.reads(str(best['reads']), long=True)}."
    )
    if len(usable) > 1:
        words += f" Best of {len(usable)} methods by this very test accuracy, which is therefore slightly optimistic."
    if gain.n == 1:
        over = "the interval is over its test samples, and " if gain.known else ""
        words += f" One run only: {over}whether the gain holds for other seeds and splits is not known."
    return Advice(str(best["calibrator"]), str(best["reads"]), float(best["mean"]), *gain, mean, spread, words)


def _fitted(parameters: pd.DataFrame) -> str:
    """γ of every calibrator that is one, where nothing says which is best."""
    fitted = parameters[parameters["parameter"] == "gamma"].groupby("calibrator", sort=False)["value"]
    values = [f"{display.calibrator(str(name))} γ = {display.number(v.mean(), 1, 2)}" for name, v in fitted]
    return f"What was fitted without them: {', '.join(values)}." if values else ""


def _percent(row: Any) -> str:
    mean, _, bounds = display.interval(row["mean"], row["low"], row["high"]).partition(" ")
    return f"{mean} % {bounds}".rstrip()
