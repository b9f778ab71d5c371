"""What to do: the γ to add, another method where it is better beyond uncertainty, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from finecal import display
from finecal.analysis.intervals import CONFIDENCE, NAN, UNKNOWN, Interval, difference_of
from finecal.analysis.remarks import fitted, labels_help, limit, percent, price, weak_pretrained
from finecal.analysis.statistics import paired_difference, row_of, runs_of

NO_ABSENT = "No test sample is of an absent class, so what calibration is worth cannot be measured here."
# Tried in this order, which was chosen on other data: so no test accuracy chooses the first one that a study has.
PREFERRED = ("pcv_combined", "pcv_scaled", "midpoint", "source_gap", "alg", "pcv")


@dataclass(frozen=True)
class Advice:
    """The calibrator to use, and what it does to acc_y_y; calibrator "none" where no method helps.

    `do` says what to do, what it gains and what it costs; `more` are the sentences behind it. `code` are the lines of
    Python that apply it to logits; empty where the method is more than a γ.
    """

    calibrator: str
    reads: str
    acc_y_y: float
    difference: float
    low: float
    high: float
    n_runs: int
    gamma_mean: float
    gamma_spread: float
    do: str
    more: tuple[str, ...] = ()
    code: str = ""

    @property
    def words(self) -> str:
        """What to do, with all that is said of it."""
        return " ".join([self.do, *self.more])


def advise(part: pd.DataFrame, parameters: pd.DataFrame, metrics: pd.DataFrame, beyond: str = "") -> Advice:
    """The advice for one setting.

    Parameters
    ----------
    part, parameters, metrics
        Its rows of the summary, of the calibration table, and of the aggregated metrics.
    beyond
        What was damaged that no γ can repair, in words.
    """
    found = _advice(part, parameters, metrics)
    more = [limit(part, beyond)] if beyond else []
    more += [labels_help(metrics), weak_pretrained(part)]
    return replace(found, more=(*found.more, *filter(None, more)))


def _advice(part: pd.DataFrame, parameters: pd.DataFrame, metrics: pd.DataFrame) -> Advice:
    plain = row_of(part, "acc_y_y", "fine_tuned")
    usable = part[
        (part["metric"] == "acc_y_y") & (part["classifier"] == "fine_tuned") & (part["calibrator"] != "none")
        & part["reads"].map(display.ranked).astype(bool) & (part["n_pairs"] > 0)
    ]  # fmt: skip
    if plain is not None and plain["n_samples"] == 0:
        return nothing(f"{NO_ABSENT} {fitted(part, parameters)}")
    if plain is None or usable.empty:
        return nothing("No calibrator without test labels was computed.")
    alone = parameters.groupby("calibrator")["parameter"].transform("nunique") == 1
    gammas = parameters[alone & (parameters["parameter"] == "gamma") & parameters["value"].notna()]
    found = Candidates.of(usable, set(gammas["calibrator"]), metrics)
    chosen = found.choice()
    row: Any = usable[usable["calibrator"] == (chosen or found.first)].iloc[0]
    gain, name = paired_difference(row), display.calibrator(str(row["calibrator"]))
    if chosen is None:
        return _leave(plain, name, gain, found)
    values = gammas[gammas["calibrator"] == chosen]["value"]
    mean, spread = (float(values.mean()), float(values.std(ddof=1))) if len(values) else (NAN, NAN)
    how = f"Use {name}"
    if len(values) == 1:
        how = f"Add γ = {display.number(mean, 1, 2)} ({name}; one run, no spread) to the absent logits"
    elif len(values):
        gamma = f"{display.number(mean, 1, 2)} ± {display.number(spread, 1, 2)}"
        how = f"Add γ = {gamma} ({name}; mean ± standard deviation over runs) to the absent logits"
    cost = price(part, chosen)
    do = (
        f"{how}: accuracy over all classes {percent(row)}, {display.points(*gain[:3])} against plain fine-tuning"
        f"{f', over the fine-tuning classes {cost}' if cost else ''}."
    )
    more = [
        f"Measured on {display.over(gain.n, int(row['n_samples']))}.",
        f"It reads {display.reads(str(row['reads']), long=True)}.",
        found.why(chosen),
    ]
    code = _code(mean) if len(values) else ""
    return Advice(
        chosen, str(row["reads"]), float(row["mean"]), *gain, mean, spread, do, tuple(filter(None, more)), code
    )


@dataclass(frozen=True)
class Candidates:
    """The methods that could be advised.

    Attributes
    ----------
    first
        The one that is tried first, whatever the test accuracies are; its gain has the confidence of the tables.
    rest
        The others; together they have as much chance as the first of being called better by accident (Bonferroni).
    only_gamma
        Those that are a γ.
    metrics
        The setting's aggregated metrics.
    """

    first: str
    rest: tuple[str, ...]
    only_gamma: frozenset[str]
    metrics: pd.DataFrame

    @classmethod
    def of(cls, usable: pd.DataFrame, only_gamma: set[str], metrics: pd.DataFrame) -> Candidates:
        """Order the rows of the summary: preferred methods, then γ before others, then those that read less."""

        def place(row: Any) -> tuple[int, bool, int]:
            name = row.calibrator
            known = PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)
            return known, name not in only_gamma, len(str(row.reads).split(","))

        first, *rest = (str(row.calibrator) for row in sorted(usable.itertuples(), key=place))
        return cls(first, tuple(rest), frozenset(only_gamma), metrics)

    def choice(self) -> str | None:
        """Return the first method that helps, or one that is better than it beyond uncertainty; None if none helps."""
        helpful = [name for name in (self.first, *self.rest) if self._over("none", name).low > 0]
        if not helpful:
            return None
        simple = next((name for name in helpful if name in self.only_gamma), helpful[0])
        better = {name: self._over(simple, name) for name in helpful if name != simple}
        beyond = [name for name, gain in better.items() if gain.low > 0]
        return max(beyond, key=lambda name: better[name].mean) if beyond else simple

    def why(self, chosen: str) -> str:
        """Say why it is this method, where there were others."""
        if not self.rest:
            return ""
        if chosen == self.first:
            return f"No other method ({len(self.rest)} without settings by hand) is better beyond uncertainty."
        gain = self._over(self.first, chosen)
        if not gain.low > 0:
            return f"{display.calibrator(self.first)}, which is tried first, shows no gain beyond uncertainty."
        return (
            f"It is better than {display.calibrator(self.first)} by {display.points(*gain[:3])}, allowing for the "
            f"number of methods ({len(self.rest) + 1})."
        )

    def _over(self, other: str, name: str) -> Interval:
        """Return what a method gains over another, with the confidence that it has."""
        own, others = (runs_of(self.metrics, "acc_y_y", "fine_tuned", one) for one in (name, other))
        if own is None or others is None:
            return UNKNOWN
        plain = name == self.first and other == "none"
        return difference_of(own, others, CONFIDENCE if plain else 1 - (1 - CONFIDENCE) / max(len(self.rest), 1))


def _leave(plain: Any, name: str, gain: Interval, found: Candidates) -> Advice:
    """To leave the model as it is, and what is not known."""
    do = (
        f"Leave the model as it is: accuracy over all classes {percent(plain)}. {name} changes it by "
        f"{display.points(*gain[:3])}: "
    )
    do += "no gain beyond uncertainty." if gain.known else (
        "too few runs and test samples to say whether that is a gain."
    )  # fmt: skip
    more = []
    if gain.known and found.rest:
        others = f"another method without test labels or numbers set by hand ({len(found.rest)} computed)"
        more.append(f"Nor does {others} gain.")
    best, none = (runs_of(found.metrics, "acc_y_y", "fine_tuned", one) for one in ("oracle", "none"))
    missed = UNKNOWN if best is None or none is None else difference_of(best, none)
    if missed.low > 0:
        more.append(
            f"γ*, the best γ, chosen on the test labels (an upper bound), would gain {display.points(*missed[:3])}: "
            "look for it with another method, with training samples of S or a few labelled samples of U."
        )
    mean, runs = float(plain["mean"]), int(plain["n_runs"])
    return Advice("none", "", mean, 0.0, NAN, NAN, runs, NAN, NAN, do, tuple(more))


def nothing(words: str) -> Advice:
    """No method, and the words that say why."""
    return Advice("none", "", NAN, NAN, NAN, NAN, 0, NAN, NAN, words.rstrip())


def _code(gamma: float) -> str:
    return (
        f"gamma = {gamma:.4f}\n"
        "absent = [c for c in range(logits.shape[1]) if c not in fine_tuning_classes]\n"
        "logits[:, absent] += gamma"
    )
