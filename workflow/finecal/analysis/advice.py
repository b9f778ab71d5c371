"""What to do: the γ to add, another method where it is better beyond uncertainty, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from finecal import display
from finecal.analysis.intervals import CONFIDENCE, NAN, UNKNOWN, Interval, difference_of
from finecal.analysis.statistics import paired_difference, row_of, runs_of

NO_ABSENT = "No test sample is of an absent class, so what calibration is worth cannot be measured here."
# Tried in this order, which was chosen on other data: so no test accuracy chooses the first one that a study has.
PREFERRED = ("pcv_combined", "pcv_scaled", "midpoint", "source_gap", "alg", "pcv")
FAR = 0.1  # of nearest class means on U above γ*, from which labels of U are advised
WEAK = 0.5  # accuracy on U of a pretrained model, below which it is called weak


@dataclass(frozen=True)
class Advice:
    """The calibrator to use, and what it does to acc_y_y; calibrator "none" where no method helps.

    `code` are the lines of Python that apply it to logits; empty where the method is more than a γ.
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
    words: str
    code: str = ""


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
    more = [_limit(part, beyond)] if beyond else []
    more += [_labels_help(metrics), _weak_pretrained(part)]
    return replace(found, words=" ".join([found.words, *filter(None, more)]))


def _advice(part: pd.DataFrame, parameters: pd.DataFrame, metrics: pd.DataFrame) -> Advice:
    plain = row_of(part, "acc_y_y", "fine_tuned")
    usable = part[
        (part["metric"] == "acc_y_y") & (part["classifier"] == "fine_tuned") & (part["calibrator"] != "none")
        & part["reads"].map(display.ranked).astype(bool) & (part["n_pairs"] > 0)
    ]  # fmt: skip
    if plain is not None and plain["n_samples"] == 0:
        return nothing(f"{NO_ABSENT} {_fitted(parameters)}")
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
    words = (
        f"{how}: accuracy over all classes {_percent(row)}, {display.points(*gain[:3])} against plain fine-tuning "
        f"({display.over(gain.n, int(row['n_samples']))}). It reads {display.reads(str(row['reads']), long=True)}."
        f"{found.why(chosen)}"
    )
    if gain.n == 1:
        words += (
            " One run only: the interval is over its test samples, and whether the gain holds for other seeds and "
            "splits is not known."
        )
    code = _code(mean) if len(values) else ""
    return Advice(chosen, str(row["reads"]), float(row["mean"]), *gain, mean, spread, words, code)


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
            return f" No other method ({len(self.rest)} computed) is better beyond uncertainty."
        gain = self._over(self.first, chosen)
        if not gain.low > 0:
            return f" {display.calibrator(self.first)}, which is tried first, shows no gain beyond uncertainty."
        return (
            f" It is better than {display.calibrator(self.first)} by {display.points(*gain[:3])}, allowing for the "
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
    words = (
        f"Leave the model as it is: accuracy over all classes {_percent(plain)}. {name} changes it by "
        f"{display.points(*gain[:3])}: "
    )
    if not gain.known:
        words += "too few runs and test samples to say whether that is a gain."
    else:
        words += "no gain beyond uncertainty."
        if found.rest:
            others = f"another method without test labels or numbers set by hand ({len(found.rest)} computed)"
            words += f" Nor does {others} gain."
    best, none = (runs_of(found.metrics, "acc_y_y", "fine_tuned", one) for one in ("oracle", "none"))
    missed = UNKNOWN if best is None or none is None else difference_of(best, none)
    if missed.low > 0:
        words += (
            f" The best γ, chosen on the test labels, would gain {display.points(*missed[:3])}: look for it with "
            "another method, with training samples of S or a few labelled samples of U."
        )
    return Advice("none", "", float(plain["mean"]), 0.0, NAN, NAN, int(plain["n_runs"]), NAN, NAN, words)


def nothing(words: str) -> Advice:
    """No method, and the words that say why."""
    return Advice("none", "", NAN, NAN, NAN, NAN, 0, NAN, NAN, words.rstrip())


def _code(gamma: float) -> str:
    return (
        f"gamma = {gamma:.4f}\n"
        "absent = [c for c in range(logits.shape[1]) if c not in fine_tuning_classes]\n"
        "logits[:, absent] += gamma"
    )


def _limit(part: pd.DataFrame, beyond: str) -> str:
    """How far γ can get where something else was damaged: with γ → ∞ the arg-max is among the absent classes alone."""
    row = row_of(part, "acc_u_u", "fine_tuned")
    words = f"γ cannot repair {beyond}"
    if row is None or not row["n_samples"]:
        return f"{words}."
    n = display.over(int(row["n_runs"]), int(row["n_samples"]))
    return f"{words}: with any γ the accuracy on absent classes is at most acc_u_u = {_percent(row)} ({n})."


def _labels_help(metrics: pd.DataFrame) -> str:
    """That labelled images of U would help more, where nearest class means are far above what γ reaches."""
    means = runs_of(metrics, "ncm_acc_u_y", "fine_tuned")
    reached = runs_of(metrics, "acc_u_y", "fine_tuned", "oracle")
    if means is None or reached is None:
        return ""
    gap = difference_of(means, reached)
    if not (gap.low > 0 and gap.mean >= FAR):
        return ""
    return (
        f"Labels would help more: with class means of labelled training images of U the accuracy on absent classes is "
        f"{display.number(float(means.values.mean()))} %, {display.points(*gap[:3])} against the best γ. Label a few "
        "images of the absent classes."
    )


def _weak_pretrained(part: pd.DataFrame) -> str:
    """That the pretrained model is weak itself, where it is."""
    row = row_of(part, "acc_u_y", "pretrained")
    if row is None or not row["high"] < WEAK:
        return ""
    return (
        f"The pretrained model itself is weak here: {_percent(row)} on the absent classes. γ gives back what "
        "fine-tuning took, not what was never there."
    )


def _fitted(parameters: pd.DataFrame) -> str:
    """γ of every calibrator that is one, where nothing says which is best."""
    fitted = parameters[parameters["parameter"] == "gamma"].groupby("calibrator", sort=False)["value"]
    values = [f"{display.calibrator(str(name))} γ = {display.number(v.mean(), 1, 2)}" for name, v in fitted]
    return f"What was fitted without them: {', '.join(values)}." if values else ""


def _percent(row: Any) -> str:
    mean, _, bounds = display.interval(row["mean"], row["low"], row["high"]).partition(" ")
    return f"{mean} % {bounds}".rstrip()
