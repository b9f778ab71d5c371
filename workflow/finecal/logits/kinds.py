"""What the scores of a classifier are: logits, or what others store in their place; each is brought back to logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finecal import display
from finecal.errors import UserError
from finecal.io import large
from finecal.logits import masks
from finecal.logits.conversions import CONVERT, Floats

AUTO = "auto"
KINDS = ("logits", "probabilities", "log-probabilities", "sigmoid", "percentages")
MOST = {"probabilities": 1, "sigmoid": 1, "percentages": 100}  # from 0 on
SUM = 0.02  # how far the sum of a row of probabilities may be from 1, for rounding
LARGEST = 1e18  # beyond, squares of float32 are infinite


@dataclass(frozen=True)
class Scores:
    """Scores as logits.

    Attributes
    ----------
    logits
        (N, C) float32 or float64, finite.
    kind
        What they were, one of KINDS.
    notes
        What was recognised and done.
    masked
        The classes whose score says nothing: the same in every row, or replaced by a very low number.
    holes
        The rows that lack a score which others have.
    """

    logits: Floats
    kind: str
    notes: tuple[str, ...] = ()
    masked: tuple[int, ...] = ()
    holes: int = 0


def as_logits(values: Floats, kind: str = AUTO, where: str = "") -> Scores:
    """Return scores (N, C) as logits, with a sentence for whatever was not a plain logit.

    Parameters
    ----------
    kind
        "auto", or one of KINDS: then it is not guessed.

    Raises
    ------
    UserError
        If they are decisions and no scores, or a row has a value that is NaN or infinite and no mask.
    """
    if kind not in (AUTO, *KINDS):
        raise UserError(f"scores are {kind!r}", where=where, why=f"Allowed are {', '.join((AUTO, *KINDS))}")
    look = _Look.of(values)
    if look.hot and look.rows > 1:
        raise UserError(
            "every row has a single 1 and otherwise 0", where=where,
            why="These are decisions; γ needs the scores behind them (logits, or probabilities before the arg-max)",
        )  # fmt: skip
    if look.most > LARGEST:
        raise UserError(f"a score is {look.most:.3g}", where=where, why=f"Scores up to {LARGEST:.0e} are understood")
    if look.ranks:
        raise UserError(
            f"every row has the numbers {look.least:.0f} to {look.most:.0f} in some order", where=where,
            why="These are ranks, or classes sorted by their scores; γ needs the scores",
        )  # fmt: skip
    found = look.kind() if kind == AUTO else kind
    said = [] if kind == AUTO else [f"Scores are taken as {found}, as asked."]
    masked, holes = masks.masked(values, found, where)
    logits, more = CONVERT[found](values, masked)
    logits, of_mask = masks.without(logits, masked, holes)
    if kind == AUTO:
        said += [*more, *look.remarks(found)]
    return Scores(logits, found, (*said, *of_mask), tuple(masked.tolist()), holes)


def kind_of(values: Floats) -> str:
    """Return what scores (N, C) seem to be, one of KINDS."""
    return _Look.of(values).kind()


def converted(values: Floats, kind: str, where: str = "") -> Floats:
    """Return scores of a known kind (N, C) as logits.

    Raises
    ------
    UserError
        If a value cannot be of the kind.
    """
    most = MOST.get(kind)
    if most is not None and len(wrong := values[(values < 0) | (values > most * (1 + 1e-3))]):
        raise UserError(
            f"{wrong[0]:.4g} is none of the {kind}", where=where, why=f"They are from 0 to {most}",
            hint="Bring scores of the same kind as those that were diagnosed",
        )  # fmt: skip
    return CONVERT[kind](values, np.zeros(0, dtype=np.intp))[0]


@dataclass(frozen=True)
class _Look:
    """What one pass over finite values shows."""

    rows: int
    least: float
    most: float
    off: int  # rows whose sum is not 1
    off_percent: int  # rows whose sum is not 100
    worst_log_sum: float  # log Σ exp of rows, from 0
    hot: bool
    zeros: int  # values that are 0
    sums: tuple[float, float]  # the smallest and the largest sum of a row
    classes: int
    ranks: bool

    @classmethod
    def of(cls, values: Floats) -> _Look:
        least, most, off, percents, logs, hot = np.inf, -np.inf, 0, 0, 0.0, True
        zeros, low, high, ranks = 0, np.inf, -np.inf, len(values) > 2
        for rows in large.parts(values):
            part = values[rows].astype(np.float64)
            finite = np.where(np.isfinite(part), part, np.nan)
            if np.isnan(finite).all():
                hot = ranks = False
                continue
            least, most = min(least, float(np.nanmin(finite))), max(most, float(np.nanmax(finite)))
            total = np.nansum(finite, axis=1)
            off += int((np.abs(total - 1) > SUM).sum())
            zeros += int((part == 0).sum())
            low, high = min(low, float(total.min())), max(high, float(total.max()))
            # Rounded to whole numbers, each may be off by a half.
            whole = bool((finite == np.floor(finite)).all())
            percents += int((np.abs(total / 100 - 1) > max(SUM, whole * min(part.shape[1] / 200, 0.2))).sum())
            with np.errstate(over="ignore", divide="ignore"):
                logs = max(logs, float(np.abs(np.log(np.nansum(np.exp(np.minimum(finite, 700.0)), axis=1))).max()))
            ranks = ranks and bool((np.ptp(part, axis=1) == part.shape[1] - 1).all()) and _are_ranks(part)
            hot = hot and bool(np.isin(part, (0.0, 1.0)).all() and (total == 1).all())
        return cls(len(values), least, most, off, percents, logs, hot, zeros, (low, high), values.shape[1], ranks)

    def kind(self) -> str:
        if self.least > self.most:  # no number at all
            return "logits"
        if self.least >= 0 and self.most <= 1 + 1e-3:
            if self.off <= self.rows // 100 or self._is_top:
                return "probabilities"
            # Sigmoids reach both ends; cosines, which also lie in [0, 1], keep to a narrow range.
            return "sigmoid" if self.least < 0.1 and self.most > 0.9 else "logits"
        if self.least >= 0 and 1 < self.most <= 100 * (1 + 1e-3) and self.off_percent <= self.rows // 100:
            return "percentages"
        if self.most <= 1e-3 and self.worst_log_sum <= SUM:
            return "log-probabilities"
        return "logits"

    @property
    def _is_top(self) -> bool:
        """Probabilities of the most probable classes alone: the others are 0, and no sum is above 1."""
        return 0 < self.sums[1] <= 1 + SUM and self.zeros > 0.2 * self.rows * self.classes

    def remarks(self, kind: str) -> list[str]:
        """Say what may be no logits, where it cannot be told."""
        if kind == "probabilities" and self.off and self._is_top:
            return [
                f"{100 * self.zeros / (self.rows * self.classes):.0f} % of the probabilities are 0 and sums are below "
                "1: these are the most probable classes alone. Among the others the order is lost: save all of them."
            ]
        if kind == "probabilities":
            return [f"The sum of {display.count(self.off, 'row')} is not 1."] if self.off else []
        if kind != "logits":
            return []
        if self.least >= 0 and self.most <= 1:
            return [
                f"All scores lie in [{self.least:.3g}, {self.most:.3g}] and do not sum to 1: they are taken as logits, "
                "as cosines are. If they are sigmoids, say so (`--scores sigmoid`, finecal.ScoresAs)."
            ]
        if self.least >= -1 and self.most <= 1:
            return [
                "All scores lie in [−1, 1], as cosines without their scale do: they are taken as logits. Accuracies "
                "and γ are right for them, probabilities are not."
            ]
        if self.least >= 0 and self.most > 1 and self.sums[0] > 0 and self.sums[1] < (1 + 2 * SUM) * self.sums[0]:
            return [
                f"Every row sums to about {self.sums[1]:.4g}: these look like probabilities times that. They are taken "
                "as logits; divide them by it, and their logarithm is taken."
            ]
        if 0.2 < self.zeros / max(self.rows * self.classes, 1) < 1:
            return [
                f"{100 * self.zeros / (self.rows * self.classes):.0f} % of the scores are exactly 0: if only the "
                "largest were kept, the order of the others is lost. Save all of them."
            ]
        if self.most <= 0:
            return [
                "No score is positive: they are taken as logits, as negative distances are. If they are logarithms of "
                "sigmoids, bring the sigmoids."
            ]
        if self.least >= 0 and self.most > 1:
            return [
                "No score is negative: they are taken as logits (or counts); distances would be the wrong way round."
                + (" Sigmoids in per cent must be divided by 100." if 50 < self.most <= 100 else "")
            ]
        return []


def _are_ranks(values: Floats) -> bool:
    """Return whether every row has the same whole numbers without a gap in some order."""
    first = np.sort(values[0])
    return bool(len(first) > 2 and (np.diff(first) == 1).all() and (np.sort(values, axis=1) == first).all())
