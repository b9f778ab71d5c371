"""What fine-tuning may have damaged, one finding each: features, relations among the absent classes, logit scale.

A verdict follows from the 95 % interval of a paired difference alone: damaged if all of it is below zero, improved if
all of it is above, else unchanged within uncertainty. So one of the two is said in at most 5 % of cases where nothing
changed (`benchmarks/coverage.py` measures it). One run's interval is over its test samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from finecal import display
from finecal.analysis.intervals import NAN, Interval
from finecal.analysis.remarks import percent
from finecal.analysis.statistics import paired_difference, row_of

DAMAGED = "damaged"
UNCHANGED = "unchanged within uncertainty"
IMPROVED = "improved"
NO_VERDICT = "no verdict: too few runs and samples"
NOT_MEASURED = "not measured"
NOT_BY_SCALE = "damaged, but γ does not help"
TOO_DEAR = "damaged, but γ costs more than it gains"

THINGS = {"features": "ncm_acc_u_y", "relations": "acc_u_u", "scale": "acc_u_y"}
TITLES = {
    "features": "Features",
    "relations": "Relations among the absent classes",
    "scale": "Logit scale",
}
MEASURES = {
    "features": "nearest-class-mean accuracy on absent classes",
    "relations": "accuracy on absent classes with the arg-max among them alone",
    "scale": "accuracy on absent classes with the arg-max over all classes",
}
LITTLE = 0.05  # of the loss: if γ* surely brings back no more, it does not help
UNTOLD = "whether γ brings it back cannot be told from chance"


@dataclass(frozen=True)
class Finding:
    """One thing that fine-tuning may have damaged.

    Accuracies are fractions; `difference` (fine-tuned minus pretrained) has the interval [low, high] over n_runs
    runs, each on n_samples test samples. For the scale, `brought_back` is what γ* adds to the fine-tuned model
    and `share` the part of the loss that this is, where γ* brings any back; NaN elsewhere.
    """

    thing: str
    metric: str
    verdict: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    n_runs: int
    n_samples: int
    brought_back: float
    share: float
    words: str


def verdict(difference: Interval) -> str:
    """What an interval of a difference allows to say.

    >>> verdict(Interval(-0.2, -0.3, -0.1, 4)), verdict(Interval(0.0, -0.3, 0.1, 4))
    ('damaged', 'unchanged within uncertainty')
    >>> verdict(Interval(0.2, NAN, NAN, 1))
    'no verdict: too few runs and samples'
    """
    if difference.n == 0:
        return NOT_MEASURED
    if not difference.known:
        return NO_VERDICT
    return DAMAGED if difference.high < 0 else IMPROVED if difference.low > 0 else UNCHANGED


def finding(part: pd.DataFrame, thing: str) -> Finding:
    """The finding about one of `THINGS`, from the rows of a setting in the summary."""
    metric = THINGS[thing]
    pretrained, tuned = row_of(part, metric, "pretrained"), row_of(part, metric, "fine_tuned")
    if pretrained is None and tuned is not None and thing == "scale" and tuned["n_samples"]:
        return _without_pretrained(part, tuned)
    if pretrained is None or tuned is None or pretrained["n_pairs"] == 0:
        words = f"{TITLES[thing]}: {NOT_MEASURED}."
        return Finding(thing, metric, NOT_MEASURED, NAN, NAN, NAN, NAN, NAN, 0, 0, NAN, NAN, words)
    gain = _gain(pretrained)
    judged, back, share, more = verdict(gain), NAN, NAN, ""
    if thing == "scale":
        judged, back, share, more = _what_gamma_brings_back(part, gain, judged)
    before, after, samples = float(pretrained["mean"]), float(tuned["mean"]), int(tuned["n_samples"])
    words = (
        f"{TITLES[thing]}: {judged}. The {MEASURES[thing]} went from {display.number(before)} % to "
        f"{display.number(after)} %: {display.points(*gain[:3])} ({display.over(gain.n, samples)}).{more}"
    )
    return Finding(thing, metric, judged, before, after, *gain, samples, back, share, words)


def _what_gamma_brings_back(part: pd.DataFrame, gain: Interval, judged: str) -> tuple[str, float, float, str]:
    """Verdict, gain of acc_u_y by γ*, its share of the loss, and the sentences about it.

    γ* is best for all classes. Where the test samples are mostly of S it may stay near zero though a larger γ would
    bring U back, so that it does not help is blamed on something else than the scale only where acc_u_u fell too.
    """
    best = part[(part["calibrator"] == "oracle") & (part["classifier"] == "fine_tuned")]
    found = {metric: best[best["metric"] == metric] for metric in ("acc_u_y", "acc_s_y", "acc_y_y")}
    if any(rows.empty for rows in found.values()):
        return judged, NAN, NAN, " γ* was not computed, so what a better scale would bring back is not known."
    back, cost, total = (paired_difference(rows.iloc[0]) for rows in found.values())
    bound = "γ*, one constant added to the absent logits and chosen on the test labels (an upper bound)"
    changes = f"{bound}, changes this accuracy by {display.points(*back[:3])}"
    if judged not in (DAMAGED, NO_VERDICT) or gain.mean >= 0:
        no_loss = {IMPROVED: "No loss here", NO_VERDICT: "No loss in these numbers"}
        return judged, back.mean, NAN, f" {no_loss.get(judged, 'No loss that can be told from chance')}; {changes}."
    if back.known and back.high <= max(LITTLE * -gain.mean, 0.0):
        if _fell(part, "acc_u_u"):
            more = f" {changes}: γ does not help, and this loss is not one of the logit scale alone."
            return NOT_BY_SCALE, back.mean, NAN, more
        more = f" {changes}: bringing the absent classes back would cost the fine-tuning classes more than it gains."
        return TOO_DEAR, back.mean, NAN, more
    if back.known and back.low <= 0:
        return judged, back.mean, NAN, f" {changes}: {UNTOLD}."
    if back.mean <= 0:
        return judged, back.mean, NAN, f" {changes}; that does not tell whether γ helps."
    share = back.mean / -gain.mean
    more = (
        f" {bound}, brings back {display.points(*back[:3])}, {share_in_words(share)}; it changes the accuracy on "
        f"fine-tuning classes by {display.points(*cost[:3])} and on all classes by {display.points(*total[:3])}."
    )
    return judged, back.mean, share, more


def _without_pretrained(part: pd.DataFrame, tuned: Any) -> Finding:
    """What was lost is not known; but what S takes from U is, and so is what γ brings back of it."""
    metric = THINGS["scale"]
    numbers = NAN, float(tuned["mean"]), NAN, NAN, NAN, int(tuned["n_runs"]), int(tuned["n_samples"])
    within, best = row_of(part, "acc_u_u", "fine_tuned"), row_of(part, metric, "fine_tuned", "oracle")
    words = f"{TITLES['scale']}: {NOT_MEASURED}, for want of the pretrained model."
    if within is not None:
        words += (
            f" The accuracy on absent classes is {percent(tuned)} with the arg-max over all classes and "
            f"{percent(within)} with the arg-max among them alone ({display.over(*numbers[-2:])}): the fine-tuning "
            f"classes take {display.points(float(within['mean'] - tuned['mean']), NAN, NAN).removeprefix('+')}, and "
            "γ can bring back no more."
        )
    back = paired_difference(best) if best is not None else Interval(NAN, NAN, NAN, 0)
    if back.n:
        words += (
            f" γ*, chosen on the test labels (an upper bound), changes this accuracy by {display.points(*back[:3])}."
        )
    return Finding("scale", metric, NOT_MEASURED, *numbers, back.mean, NAN, words)


def _fell(part: pd.DataFrame, metric: str) -> bool:
    """Whether the fine-tuned model's accuracy lies below the pretrained one's beyond uncertainty."""
    pretrained = row_of(part, metric, "pretrained")
    return pretrained is not None and verdict(_gain(pretrained)) == DAMAGED


def _gain(pretrained: Any) -> Interval:
    """Fine-tuned minus pretrained, from the row of the pretrained model."""
    reverse = paired_difference(pretrained)
    return Interval(-reverse.mean, -reverse.high, -reverse.low, reverse.n)


def share_in_words(share: float) -> str:
    """A part of the loss: 0.75 → 75 % of the loss."""
    return "all of the loss and more" if share > 1 else f"{display.number(share, digits=0)} % of the loss"
