"""From the summary to the answer in words: what was damaged, and what to do. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from finecal import display
from finecal.analysis.advice import Advice, advise, nothing
from finecal.analysis.findings import (
    DAMAGED,
    IMPROVED,
    NO_VERDICT,
    NOT_BY_SCALE,
    NOT_MEASURED,
    THINGS,
    TITLES,
    TOO_DEAR,
    UNCHANGED,
    UNTOLD,
    Finding,
    finding,
    share_in_words,
)
from finecal.analysis.statistics import of_setting, row_of, summarise


@dataclass(frozen=True)
class Answer:
    """Everything about one setting; `finecal.analysis.telling` makes of it what is said.

    `scope` says what the intervals do not contain; empty where that is nothing.
    """

    setting: tuple[str, str, str, str]
    headline: str
    findings: tuple[Finding, ...]
    advice: Advice
    scope: str = ""

    @property
    def title(self) -> str:
        """The setting in words."""
        return display.setting(self.setting)


def diagnose(metrics: pd.DataFrame, calibration: pd.DataFrame) -> list[Answer]:
    """The answers for every setting, in order of appearance.

    Parameters
    ----------
    metrics
        The aggregated metrics, one row per run, method and metric.
    calibration
        The aggregated parameters of the calibrators: coordinates, calibrator, parameter, value.
    """
    summary, answers = summarise(metrics), []
    for key in display.settings(summary):
        part = of_setting(summary, key)
        findings = tuple(finding(part, thing) for thing in THINGS)
        beyond = _listed([_name(one) for one in _beyond_gamma(findings)])
        advice = advise(part, of_setting(calibration, key), of_setting(metrics, key), beyond)
        answers.append(Answer(key, _headline(findings) or _unknown(part), findings, advice, _scope(part)))  # type: ignore[arg-type]
    return answers


def withheld(answer: Answer, doubts: Sequence[str]) -> Answer:
    """The answer where something is wrong with what was measured: what that is, and neither findings nor advice."""
    return replace(answer, headline=" ".join(doubts), findings=(), advice=nothing("No advice is given."), scope="")


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
        sentences.append(f"{TITLES[thing]}: {counts} of {display.count(len(answers), 'setting')}.")
    return sentences


def _beyond_gamma(findings: tuple[Finding, ...]) -> list[Finding]:
    """What was damaged and no constant can repair: it leaves features and the order among the absent logits alone."""
    return [one for one in findings if one.thing != "scale" and one.verdict == DAMAGED]


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
        sentences.append(f"γ cannot repair {_listed([_name(one) for one in beyond])}.")
    if not sentences and any(f.verdict in (UNCHANGED, IMPROVED) for f in findings):
        sentences.append("No damage beyond uncertainty.")
    if by[UNCHANGED]:
        sentences.append(f"Unchanged within uncertainty: {_listed(by[UNCHANGED])}.")
    if by[IMPROVED]:
        sentences.append(f"Improved: {_listed(by[IMPROVED])}.")
    if any(f.verdict == NO_VERDICT for f in findings):
        sentences.append("Too few runs and test samples for an interval, and so for a verdict.")
    if scale.verdict == NOT_MEASURED and scale.n_runs:
        sentences.append("Without the pretrained model what was damaged is not known.")
        if not math.isnan(scale.brought_back):
            raised = [display.number(value) for value in (scale.after, scale.after + scale.brought_back)]
            sentences.append(
                f"With γ* (an upper bound) the accuracy on absent classes is {raised[1]} % instead of {raised[0]} %."
            )
    return " ".join(sentences)


def _unknown(part: pd.DataFrame) -> str:
    """What is said where none of the findings was measured."""
    row = row_of(part, "acc_y_y", "fine_tuned")
    if row is None or row["n_samples"]:
        return "Nothing was measured."
    return "Without test samples of absent classes what was damaged is not known; what γ costs on S is."


def _scope(part: pd.DataFrame) -> str:
    """What the intervals do not contain, where there are too few splits to know."""
    row = row_of(part, "acc_s_y", "fine_tuned")
    if row is None or math.isnan(row["low"]):
        return ""
    if row["n_runs"] == 1:
        return (
            "There is one training only: the intervals are over its test samples, and whether it is so for other seeds "
            "and splits is not known."
        )
    if row["n_splits"] == 1:
        return "There is one split only: the intervals are for this split, other classes in S may differ more."
    if row["n_splits"] == 2:
        return (
            "There are two splits: how much splits differ is hardly known, so the intervals are wide. Four splits with "
            "one seed say far more than two with two."
        )
    return ""


def _name(finding: Finding) -> str:
    if finding.thing == "features":
        return "the features"
    if finding.thing == "relations":
        return "the relations among the absent classes"
    if math.isnan(finding.share):  # no loss, or nothing that says whether it is one of the scale
        return "the accuracy on absent classes"
    return f"the logit scale (γ*, an upper bound, brings back {share_in_words(finding.share)})"


def _listed(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
