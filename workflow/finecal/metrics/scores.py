"""Compute all metrics of one run, tidy: a row for each classifier, calibrator and metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError
from finecal.metrics import classification, influences, unit_rows
from finecal.metrics.classification import GroupMaxima, SeenUnseenCurve, Softmax, class_means, group_maxima, ncm_scores
from finecal.metrics.curve import mean
from finecal.metrics.per_class import MACRO, macro_metrics
from finecal.metrics.per_class_influences import of_per_class
from finecal.metrics.softmax import row_blocks, shifted_log_sums
from finecal.metrics.validation import check_labels

# Metrics of the samples of S alone.
OF_FINE_TUNING = frozenset({"acc_s_y", "acc_s_s", f"{MACRO}acc_s_y", f"{MACRO}acc_s_s"})


class Measured(NamedTuple):
    """A metric of n samples.

    `influences` is what groups of test samples contribute to its error (`finecal.metrics.influences`), None if unknown;
    `bias` how much too large the value is expected to be.
    """

    value: float
    n: int
    influences: influences.Sums | None = None
    bias: float = 0.0


def score(
    logits: npt.NDArray[Any], labels: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_]
) -> tuple[dict[str, Measured], SeenUnseenCurve]:
    """Return every metric of (N, C) logits by name, and the seen–unseen curve.

    Without a sample of U only the accuracies of S are known; metrics of all classes are NaN, of 0 samples.
    """
    maxima = group_maxima(logits, fine_tuning)
    return _values(maxima, classification.softmax(logits, labels, maxima=maxima), labels)


def score_parts(
    parts: Iterable[npt.NDArray[Any]], labels: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_]
) -> dict[str, Measured]:
    """Return the metrics that `score` finds for logits that come in parts (n, C), one after another.

    Raises
    ------
    UserError
        As `score`.
    """
    found, start = [], 0
    for logits in parts:
        own = labels[start : start + len(logits)]
        maxima = group_maxima(logits, fine_tuning, first_row=start)
        found.append((maxima, classification.softmax(logits, own, first_row=start, maxima=maxima)))
        start += len(logits)
    check_labels(labels, start, len(fine_tuning))
    of_parts, probabilities = zip(*found, strict=True)
    of_all = Softmax(*map(np.concatenate, zip(*probabilities, strict=True)))
    return _values(_joined(of_parts), of_all, labels)[0]


def _of_shifts(
    logits: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_], shifts: npt.NDArray[np.float64]
) -> list[GroupMaxima]:
    """Return the maxima of (N, C) logits with each of (K, C) shifts; every block is shifted while the cache has it."""
    found: list[list[GroupMaxima]] = [[] for _ in shifts]
    empty = [slice(0, 0)]  # of no samples
    for rows in [*row_blocks(*logits.shape)] or empty:
        z = logits[rows].astype(np.float64)
        for parts, shift in zip(found, shifts, strict=True):
            parts.append(group_maxima(z + shift, fine_tuning, first_row=rows.start))
    return [_joined(parts) for parts in found]


def _joined(parts: Sequence[GroupMaxima]) -> GroupMaxima:
    columns = ("value_s", "class_s", "value_u", "class_u")
    together = {name: np.concatenate([getattr(one, name) for one in parts]) for name in columns}
    return GroupMaxima(**together, fine_tuning=parts[0].fine_tuning)


@dataclass(frozen=True)
class AnyGamma:
    """What one pass over logits (N, C) gives, from which every metric at any γ follows.

    With γ on all logits of U their maximum moves by γ, and so does log Σ exp over U.

    Attributes
    ----------
    maxima
        Of S and of U.
    rest_s, rest_u
        (N,) log Σ_c exp(z_c − largest) over S and over U, with the largest of the group.
    own
        (N,) the logit of the label.
    labels
        (N,).
    """

    maxima: GroupMaxima
    rest_s: npt.NDArray[np.float64]
    rest_u: npt.NDArray[np.float64]
    own: npt.NDArray[np.float64]
    labels: npt.NDArray[Any]

    @classmethod
    def of(cls, logits: npt.NDArray[Any], labels: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_]) -> AnyGamma:
        """Compute it from finite logits (N, C)."""
        return cls.of_shifts(logits, labels, fine_tuning, [])[0]

    @classmethod
    def of_shifts(
        cls,
        logits: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        fine_tuning: npt.NDArray[np.bool_],
        shifts: Sequence[npt.NDArray[np.float64]],
    ) -> list[AnyGamma]:
        """Compute it from finite logits (N, C), and from them with each of K shifts (C,) added, in one go.

        The exponentials are those of the logits; see `shifted_log_sums` for how far apart a shift's numbers may be.
        """
        given = np.reshape(shifts, (-1, len(fine_tuning)))
        (rest_s, sums_s), (rest_u, sums_u) = (
            shifted_log_sums(logits, group, given) for group in (fine_tuning, ~fine_tuning)
        )
        own = logits[np.arange(len(labels)), labels].astype(np.float64)
        found = [cls(group_maxima(logits, fine_tuning), rest_s, rest_u, own, labels)]
        for maxima, shift, sum_s, sum_u in zip(
            _of_shifts(logits, fine_tuning, given), given, sums_s, sums_u, strict=True
        ):
            rest = sum_s - maxima.value_s, sum_u - maxima.value_u
            found.append(cls(maxima, *rest, own + shift[labels], labels))
        return found

    @cached_property
    def log_sum_s(self) -> npt.NDArray[np.float64]:
        """(N,) log Σ_c exp(z_c) over S."""
        return self.maxima.value_s + self.rest_s

    @cached_property
    def log_sum_u(self) -> npt.NDArray[np.float64]:
        """(N,) log Σ_c exp(z_c) over U."""
        return self.maxima.value_u + self.rest_u

    def within_groups(self) -> AnyGamma:
        """Return this of the log-probabilities that each class has in its own group, S or U."""
        of_s = self.maxima.fine_tuning[self.labels]
        own = self.own - np.where(of_s, self.maxima.value_s, self.maxima.value_u)
        own -= np.where(of_s, self.rest_s, self.rest_u)
        maxima = replace(self.maxima, value_s=-self.rest_s, value_u=-self.rest_u)
        return replace(self, maxima=maxima, own=own)

    def with_s_moved(self, amount: npt.NDArray[np.float64]) -> AnyGamma:
        """Return this of the logits with (N,) amounts added to those of S."""
        own = self.own + np.where(self.maxima.fine_tuning[self.labels], amount, 0.0)
        return replace(self, maxima=replace(self.maxima, value_s=self.maxima.value_s + amount), own=own)

    def where(self, rows: npt.NDArray[np.bool_], other: AnyGamma) -> AnyGamma:
        """Return this for some samples, a mask (N,), and the other for the rest; of the same labels and groups."""
        maxima, columns = ("value_s", "class_s", "value_u", "class_u"), ("rest_s", "rest_u", "own")
        chosen = {key: np.where(rows, getattr(self.maxima, key), getattr(other.maxima, key)) for key in maxima}
        numbers = {key: np.where(rows, getattr(self, key), getattr(other, key)) for key in columns}
        return AnyGamma(GroupMaxima(**chosen, fine_tuning=self.maxima.fine_tuning), **numbers, labels=self.labels)

    def score(self, gamma: float | npt.NDArray[np.float64]) -> dict[str, Measured]:
        """Return the metrics that `score` finds for the logits with γ, one or (N,), added to those of U.

        Raises
        ------
        UserError
            If γ is not finite.
        """
        if not np.isfinite(gamma).all():
            raise UserError(f"γ is {gamma}", why="It must be finite: probabilities are computed with it")
        maxima = replace(self.maxima, value_u=self.maxima.value_u + gamma)
        of_u = ~self.maxima.fine_tuning[self.labels]
        log_sum = np.logaddexp(self.log_sum_s, self.log_sum_u + gamma)
        largest = np.maximum(maxima.value_s, maxima.value_u)
        right = maxima.predictions() == self.labels
        probabilities = Softmax(log_sum - self.own - gamma * of_u, np.exp(largest - log_sum), right)
        return _values(maxima, probabilities, self.labels)[0]


def _values(
    maxima: GroupMaxima, probabilities: Softmax, labels: npt.NDArray[Any]
) -> tuple[dict[str, Measured], SeenUnseenCurve]:
    scores = maxima.accuracies(labels)
    curve, n = maxima.curve(labels), len(labels)
    s, u = scores["acc_s_y"].value, scores["acc_u_y"].value
    values: dict[str, tuple[float, int]] = {name: (score.value, score.n) for name, score in scores.items()}
    values["harmonic_mean"] = (classification.harmonic_mean(s, u), n)
    values["ausuc"] = (curve.ausuc, n)
    values["nll"] = (mean(probabilities.losses), n)
    values["ece"] = (classification.calibration_error(probabilities), n)
    values |= macro_metrics(maxima, labels, curve)
    found = influences.of_accuracies(maxima, labels)
    found["harmonic_mean"] = influences.of_harmonic_mean(s, u, found["acc_s_y"], found["acc_u_y"])
    found["ausuc"] = influences.of_ausuc(maxima, labels)
    found["nll"] = influences.of_mean(probabilities.losses)
    found["ece"] = influences.of_calibration_error(probabilities.confidence, probabilities.right)
    found |= of_per_class(maxima, labels)
    if not curve.n_u:
        values |= {name: (float("nan"), 0) for name in values if name not in OF_FINE_TUNING}
    bias = {"ece": influences.calibration_error_bias(probabilities)} if curve.n_u else {}
    return {
        name: Measured(*values[name], influences.group_sums(found[name]), bias.get(name, 0.0)) for name in values
    }, curve


def score_ncm(
    train: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    test: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    fine_tuning: npt.NDArray[np.bool_],
) -> dict[str, Measured]:
    """Return accuracies of the nearest class mean, `ncm_acc_…`, from (features, labels) of train and test samples.

    The means are those of all classes: this measures the features and is no classifier to deploy. If no class of U has
    both training and test samples, the result is NaN, of 0 samples. Samples of a class without training samples count
    as wrong, as in the published code.
    """
    means = class_means(*train, num_classes=len(fine_tuning))
    at_once = max(1, unit_rows.LARGEST // len(fine_tuning))
    starts = range(0, max(len(test[0]), 1), at_once)
    maxima = _joined([group_maxima(ncm_scores(test[0][k : k + at_once], means), fine_tuning) for k in starts])
    scores, parts = maxima.accuracies(test[1]), influences.of_accuracies(maxima, test[1])
    measured = (~fine_tuning & ~np.isnan(means).any(axis=1))[test[1]].any()
    return {
        f"ncm_{name}": Measured(
            score.value if measured else float("nan"), score.n if measured else 0, influences.group_sums(parts[name])
        )
        for name, score in scores.items()
    }


def rows(classifier: str, calibrator: str, reads: str, values: Mapping[str, Measured]) -> list[dict[str, Any]]:
    """Return the tidy rows of one classifier and calibrator."""
    who = {"classifier": classifier, "calibrator": calibrator, "reads": reads}
    return [{**who, "metric": name, **measured._asdict()} for name, measured in values.items()]
