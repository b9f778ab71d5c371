"""An answer as it is told: pages, terminal, notebook and model card are all filled from one `Told`.

So the same numbers give the same sentences everywhere. What stands on every surface is the verdict, a line per finding,
and what to do; `behind` are the sentences that a reader opens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finecal import display
from finecal.analysis import findings
from finecal.analysis.diagnosis import Answer
from finecal.analysis.findings import Finding

# Verdict → its kind, sign and short word.
SIGNS = {
    findings.DAMAGED: ("damaged", "▼", "damaged"),
    findings.NOT_BY_SCALE: ("damaged", "▼", "damaged"),
    findings.TOO_DEAR: ("damaged", "▼", "damaged"),
    findings.UNCHANGED: ("unchanged", "=", "unchanged"),
    findings.IMPROVED: ("improved", "▲", "improved"),
    findings.NO_VERDICT: ("unknown", "·", "no verdict"),
}
IN_PYTHON = "In Python, for logits (N, C) of the model before calibration:"


@dataclass(frozen=True)
class Line:
    """A finding in one line, and the sentences behind it.

    Attributes
    ----------
    kind
        damaged, unchanged, improved or unknown.
    sign
        That goes with it: ▼, =, ▲ or ·.
    name, verdict
        Of what, and the short word for what happened to it.
    change
        In percentage points with its interval; empty if it was not measured.
    words
        The sentences.
    """

    kind: str
    sign: str
    name: str
    verdict: str
    change: str
    words: str

    @property
    def text(self) -> str:
        """The line as text: ▼ Logit scale: damaged, −40.0 points [−42.0, −38.0]."""
        return f"{self.sign} {self.name}: {self.verdict}{', ' * bool(self.change)}{self.change}"


@dataclass(frozen=True)
class Told:
    """What is said of one setting.

    Attributes
    ----------
    title
        The setting.
    verdict
        What was damaged and what was not, in sentences.
    lines
        The findings.
    do
        What to do, in a sentence with what it brings and what it costs.
    code
        Lines of Python that do it; empty where there are none.
    behind
        The sentences behind the advice and the verdict.
    """

    title: str
    verdict: str
    lines: tuple[Line, ...]
    do: str
    code: str
    behind: tuple[str, ...]


def tell(answer: Answer) -> Told:
    """Return what every surface says of an answer."""
    advice = answer.advice
    behind = (*advice.more, answer.scope) if answer.scope else advice.more
    return Told(
        answer.title, answer.headline, tuple(map(_line, answer.findings)), advice.do, advice.code, behind
    )  # fmt: skip


def sign_of(verdict: str) -> tuple[str, str, str]:
    """Return kind, sign and short word of a verdict.

    >>> sign_of("damaged, but γ does not help")
    ('damaged', '▼', 'damaged')
    """
    return SIGNS.get(verdict, ("unknown", "·", verdict))


def as_text(told: Told) -> list[str]:
    """Return the answer as lines of text: verdict, what to do, code, findings, and the sentences behind them."""
    lines = [told.verdict, told.do, *_indented(told.code.splitlines())]
    for part in ([line.text for line in told.lines], _sentences(told)):
        lines += ["", *part] if part else []
    return lines


def as_markdown(told: Told) -> str:
    """Return the answer as Markdown, for a model card."""
    parts = [f"**{told.verdict}**", "\n".join(f"- {line.text}" for line in told.lines), told.do]
    if told.code:
        parts.append(f"{IN_PYTHON}\n\n```python\n{told.code}\n```")
    return "\n\n".join([*filter(None, parts), *_sentences(told)])


def _sentences(told: Told) -> list[str]:
    """The sentences behind the findings, one paragraph each, and those behind the advice in one."""
    return [words for words in (*(line.words for line in told.lines), " ".join(told.behind)) if words]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _line(finding: Finding) -> Line:
    kind, sign, verdict = sign_of(finding.verdict)
    change = display.points(finding.difference, finding.low, finding.high)
    known = finding.difference == finding.difference
    return Line(kind, sign, findings.TITLES[finding.thing], verdict, change if known else "", finding.words)
