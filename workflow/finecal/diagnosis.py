"""From the summary to the answer in words: what was damaged, and what to do. Pure functions.

A verdict follows from the 95 % interval of a paired difference alone: damaged if all of it is below zero, improved
if all of it is above, else unchanged within uncertainty. One run has no interval and gets no verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from finecal import wording
from finecal.advice import Advice, advise
from finecal.statistics import NAN, Interval, of_setting, paired_difference, row_of

DAMAGED = "damaged"
UNCHANGED = "unchanged within uncertainty"
IMPROVED = "improved"
NO_VERDICT = "no verdict: one run"
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


@dataclass(frozen=True)
class Answer:
    """Everything about one setting."""

    setting: tuple[str, str, str, str]
    headline: str
    findings: tuple[Finding, ...]
    advice: Advice

    @property
    def title(self) -> str:
        """The setting in words."""
        return wording.setting(self.setting)


def verdict(difference: Interval) -> str:
    """What an interval of a difference allows to say.

    >>> verdict(Interval(-0.2, -0.3, -0.1, 4)), verdict(Interval(0.0, -0.3, 0.1, 4))
    ('damaged', 'unchanged within uncertainty')
    >>> verdict(Interval(0.2, NAN, NAN, 1))
    'no verdict: one run'
    """
    if difference.n == 0:
        return NOT_MEASURED
    if not difference.known:
        return NO_VERDICT
    return DAMAGED if difference.high < 0 else IMPROVED if difference.low > 0 else UNCHANGED


def diagnose(summary: pd.DataFrame, calibration: pd.DataFrame) -> list[Answer]:
    """The answers for every setting, in order of appearance.

    Parameters
    ----------
    summary
        From `finecal.statistics.summarise`.
    calibration
        The aggregated parameters of the calibrators: coordinates, calibrator, parameter, value.
    """
    answers = []
    for key in wording.settings(summary):
        part = of_setting(summary, key)
        findings = tuple(_finding(part, thing) for thing in THINGS)
        beyond = _listed([_name(finding) for finding in _beyond_gamma(findings)])
        advice = advise(part, of_setting(calibration, key), beyond)
        answers.append(Answer(key, _headline(findings), findings, advice))  # type: ignore[arg-type]
    return answers


def overall(answers: list[Answer]) -> list[str]:
    """One sentence for each thing over all settings; nothing if there is only one setting.

    >>> overall([])
    []
    """
    if len(answers) < 2:
        return []
    sentences = []
    for position, thing in enumerate(THINGS):
        verdicts = pd.Series([answer.findings[position].verdict for answer in answers]).value_counts(sort=False)
        counts = ", ".join(f"{name} in {n}" for name, n in verdicts.items())
        sentences.append(f"{TITLES[thing]}: {counts} of {len(answers)} settings.")
    return sentences


def _finding(part: pd.DataFrame, thing: str) -> Finding:
    metric = THINGS[thing]
    pretrained, tuned = row_of(part, metric, "pretrained"), row_of(part, metric, "fine_tuned")
    if pretrained is None or tuned is None or pretrained["n_pairs"] == 0:
        words = f"{TITLES[thing]}: {NOT_MEASURED}."
        return Finding(thing, metric, NOT_MEASURED, NAN, NAN, NAN, NAN, NAN, 0, 0, NAN, NAN, words)
    gain = _gain(pretrained)
    judged, back, share, more = verdict(gain), NAN, NAN, ""
    if thing == "scale":
        judged, back, share, more = _what_gamma_brings_back(part, gain, judged)
    before, after, samples = float(pretrained["mean"]), float(tuned["mean"]), int(tuned["n_samples"])
    words = (
        f"{TITLES[thing]}: {judged}. The {MEASURES[thing]} went from {wording.number(before)} % to "
        f"{wording.number(after)} %: {wording.points(*gain[:3])} ({wording.over(gain.n, samples)}).{more}"
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
    changes = f"{bound}, changes this accuracy by {wording.points(*back[:3])}"
    if judged not in (DAMAGED, NO_VERDICT) or gain.mean >= 0:
        no_loss = {IMPROVED: "No loss here", NO_VERDICT: "No loss in this run"}
        return judged, back.mean, NAN, f" {no_loss.get(judged, 'No loss that can be told from chance')}; {changes}."
    if back.known and back.high <= 0:
        if _fell(part, "acc_u_u"):
            more = f" {changes}: γ does not help, and this loss is not one of the logit scale alone."
            return NOT_BY_SCALE, back.mean, NAN, more
        more = f" {changes}: bringing the absent classes back would cost the fine-tuning classes more than it gains."
        return TOO_DEAR, back.mean, NAN, more
    if back.known and back.low <= 0:
        return judged, back.mean, NAN, f" {changes}: {UNTOLD}."
    if back.mean <= 0:
        return judged, back.mean, NAN, f" {changes}; one run does not tell whether γ helps."
    share = back.mean / -gain.mean
    more = (
        f" {bound}, brings back {wording.points(*back[:3])}, {_share(share)}; it changes the accuracy on fine-tuning "
        f"classes by {wording.points(*cost[:3])} and on all classes by {wording.points(*total[:3])}."
    )
    return judged, back.mean, share, more


def _fell(part: pd.DataFrame, metric: str) -> bool:
    """Whether the fine-tuned model's accuracy lies below the pretrained one's beyond uncertainty."""
    pretrained = row_of(part, metric, "pretrained")
    return pretrained is not None and verdict(_gain(pretrained)) == DAMAGED


def _gain(pretrained: Any) -> Interval:
    """Fine-tuned minus pretrained, from the row of the pretrained model."""
    reverse = paired_difference(pretrained)
    return Interval(-reverse.mean, -reverse.high, -reverse.low, reverse.n)


def _beyond_gamma(findings: tuple[Finding, ...]) -> list[Finding]:
    """What was damaged and no constant can repair: it leaves features and the order among the absent logits alone."""
    return [finding for finding in findings if finding.thing != "scale" and finding.verdict == DAMAGED]


def _headline(findings: tuple[Finding, ...]) -> str:
    """What was damaged and what was not, in one sentence each."""
    by = {kind: [_name(f) for f in findings if f.verdict == kind] for kind in (DAMAGED, UNCHANGED, IMPROVED)}
    sentences = []
    if by[DAMAGED]:
        sentences.append(f"Damaged: {_listed(by[DAMAGED])}.")
    scale = findings[-1]
    if scale.verdict == DAMAGED and math.isnan(scale.share) and not math.isnan(scale.brought_back):
        sentences.append(f"{UNTOLD[0].upper()}{UNTOLD[1:]}.")
    if any(f.verdict == NOT_BY_SCALE for f in findings):
        sentences.append("The absent classes lost accuracy, and γ does not bring it back.")
    if any(f.verdict == TOO_DEAR for f in findings):
        sentences.append("The absent classes lost accuracy; bringing it back with γ costs more than it gains.")
    if beyond := _beyond_gamma(findings):
        sentences.append(f"γ cannot repair {_listed([_name(finding) for finding in beyond])}.")
    if not sentences and any(f.verdict in (UNCHANGED, IMPROVED) for f in findings):
        sentences.append("No damage beyond uncertainty.")
    if by[UNCHANGED]:
        sentences.append(f"Unchanged within uncertainty: {_listed(by[UNCHANGED])}.")
    if by[IMPROVED]:
        sentences.append(f"Improved: {_listed(by[IMPROVED])}.")
    if any(f.verdict == NO_VERDICT for f in findings):
        sentences.append("There is one run only: no interval and no verdict, the numbers are that run's.")
    return " ".join(sentences) or "Nothing was measured."


def _name(finding: Finding) -> str:
    if finding.thing == "features":
        return "the features"
    if finding.thing == "relations":
        return "the relations among the absent classes"
    if math.isnan(finding.share):  # no loss, or nothing that says whether it is one of the scale
        return "the accuracy on absent classes"
    return f"the logit scale (γ* brings back {_share(finding.share)})"


def _share(share: float) -> str:
    return "all of the loss and more" if share > 1 else f"{wording.number(share, digits=0)} % of the loss"


def _listed(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
