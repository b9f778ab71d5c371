"""The contract of calibrators: a calibrator is handed the data that it declares, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from finecal.metrics.classification import SeenUnseenCurve

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
State = Mapping[str, float | Floats]
Fitted = dict[str, float | Floats]

# What `READS` of a calibrator may hold, with the letter that stands for it. "set_by_hand" is no data: an option with a
# value that neither data nor the method's definition gives decides how S and U are balanced. Such a method's accuracy
# is that of the number someone chose, so it is neither ranked nor advised.
READABLE = {
    "weights": "W",
    "train_fine_tuning": "S",
    "pretrained": "0",
    "pseudo_splits": "P",
    "target_unlabelled": "T",
    "validation": "V",
    "test": "O",
    "set_by_hand": "H",
}
# A parameter of this name in a fitted state says that `fit` found a value and did not take it, as the data does not
# determine it: an end of its range. What it would have scaled then stays as it is.
REFUSED = "refused"
# What `TAKES` of a calibrator may hold, and what `READS` must hold with it (None: nothing).
TAKEABLE = {
    "features": None,  # (N, D), what the last layer reads
    "pretrained": "pretrained",  # (N, C), the pretrained model's logits
    "interpolated": "pretrained",  # weight α → (N, C), the logits of (1 − α) θ⁰ + α θ
    "weights": "weights",  # the head of the fine-tuned model
}


class UndeclaredRead(Exception):  # noqa: N818 - it names what happened
    """A calibrator asks for data that it declares neither in READS nor in TAKES: a mistake in its code."""


@dataclass(frozen=True)
class Head:
    """The last layer, z = W h + b: weight (C, D) and bias (C,), both float64."""

    weight: Floats
    bias: Floats

    @cached_property
    def lengths(self) -> Floats:
        """(C,) the lengths of the rows."""
        lengths: Floats = np.linalg.norm(self.weight, axis=1)
        return lengths


@dataclass(frozen=True)
class Unlabelled:
    """Samples as the models see them, without labels.

    `samples["features"]` and the other keys of `TAKEABLE` are there if the calibrator declares them.

    Attributes
    ----------
    logits
        (N, C), float32 or float64; for `Calibrator.apply` always float64.
    more
        What else is known of them, by the keys of `TAKEABLE`.
    """

    logits: npt.NDArray[Any]
    more: Mapping[str, Any] = field(default_factory=dict, kw_only=True, repr=False)

    def __getitem__(self, name: str) -> Any:
        return _look_up(self.more, name)

    def __len__(self) -> int:
        return len(self.logits)


@dataclass(frozen=True)
class Labelled(Unlabelled):
    """Samples with their labels (N,), integer."""

    labels: npt.NDArray[Any]


@dataclass(frozen=True)
class PseudoFold:
    """One pseudo-split: validation samples of S, seen by a model fine-tuned on S′ only.

    `fold["pretrained"]`, (N, |S|), has the pretrained model's logits of the samples if the calibrator declares them.

    Attributes
    ----------
    logits
        (N, |S|), the columns of S alone, in the order of their class numbers.
    labels
        (N,), positions among those columns.
    fine_tuning
        (|S|,) bool, the columns of S′.
    all_logits
        (N, C), the same model's logits of the same samples for all classes of Y, those of U among them.
    more
        What else is known of the samples: the pretrained model's logits.
    """

    logits: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    fine_tuning: Mask
    all_logits: npt.NDArray[Any] | None = field(default=None, kw_only=True, repr=False)
    more: Mapping[str, Any] = field(default_factory=dict, kw_only=True, repr=False)

    def __getitem__(self, name: str) -> Any:
        return _look_up(self.more, name)


Samples = TypeVar("Samples", bound=Unlabelled | PseudoFold)


def restrict(samples: Samples, declared: frozenset[str]) -> Samples:
    """Return the same samples with only the declared part of what is known about them."""
    return replace(samples, more={name: value for name, value in samples.more.items() if name in declared})


class Data:
    """The data handed to one calibrator to be fitted on.

    `data["train_fine_tuning"]`, `data["validation"]` and `data["test"]` are `Labelled`, `data["target_unlabelled"]`
    is `Unlabelled`, `data["weights"]` is a `Head`, `data["pseudo_splits"]` is a list of `PseudoFold`. The samples also
    carry what else is declared: with "pretrained" in `reads`, `data["train_fine_tuning"]["pretrained"]` has the
    pretrained model's logits, and so has each `PseudoFold`. `fine_tuning` is the (C,) bool mask of S, which every
    method knows.
    """

    def __init__(
        self,
        fine_tuning: Mask,
        available: Mapping[str, Any],
        reads: frozenset[str],
        takes: frozenset[str] = frozenset(),
    ) -> None:
        self.fine_tuning = fine_tuning
        self._data = {name: _restricted(value, reads | takes) for name, value in available.items() if name in reads}

    def __getitem__(self, name: str) -> Any:
        return _look_up(self._data, name)


def _restricted(value: Any, declared: frozenset[str]) -> Any:
    if isinstance(value, Unlabelled):
        return restrict(value, declared)
    return [restrict(fold, declared) for fold in value] if isinstance(value, list) else value


def _look_up(there: Mapping[str, Any], name: str) -> Any:
    if name not in there:
        raise UndeclaredRead(f"{name!r} is read but not declared; declared and available: {sorted(there)}")
    return there[name]


class Calibrator(Protocol):
    """A post-hoc method: small state from the declared data, then logits in, logits out.

    A class may have `by_row = True`: what `apply` returns for a sample is then the same to the bit whichever other
    samples it is handed with, and it is handed a few at a time, which is faster. A product of matrices is not the same
    to the bit: a class with one has `by_row_but_rounding = True`.
    """

    def fit(self, data: Data) -> Fitted:
        """Return the method's parameters, such as {"gamma": 2.3}; arrays are float64."""
        ...

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> npt.NDArray[Any]:
        """Return calibrated logits (N, C) of samples that the method was not fitted on.

        `inputs` has what TAKES declares. Arrays in `state` arrive flat. A method without logits returns scores whose
        softmax is its estimate of the probabilities: negative log-likelihood and calibration error use them.
        """
        ...


class AddGamma:
    """Base of the methods whose only parameter is γ: add it to every logit of U."""

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        return inputs.logits + np.where(fine_tuning, 0.0, state["gamma"])


def moves_gamma_only(method: Calibrator) -> bool:
    """Return whether a calibrator only adds `state["gamma"]` to the logits of U, as `AddGamma` does."""
    return getattr(type(method), "apply", None) is AddGamma.apply


def finite_gamma(curve: SeenUnseenCurve, vertex: int) -> float:
    """Return a finite γ that reaches a vertex of the curve; at its ends any γ beyond the last threshold does."""
    gamma = float(curve.gamma[vertex])
    if np.isfinite(gamma):
        return gamma
    finite = curve.threshold[np.isfinite(curve.threshold)]
    if not finite.size:
        return 0.0
    end = float(finite[0] if gamma < 0 else finite[-1])
    beyond = max(1.0, 1e-6 * abs(end))  # next to a large logit a step of 1 is lost in rounding
    return end - beyond if gamma < 0 else end + beyond


def log_prior(labels: npt.NDArray[Any], num_classes: int, smoothing: float) -> Floats:
    """Return (C,) log π with π_c = (n_c + smoothing) / (N + C · smoothing), finite also without samples of c."""
    counts = np.bincount(labels, minlength=num_classes) + smoothing
    prior: Floats = np.log(counts) - np.log(counts.sum())
    return prior


def tau_factors(head: Head, tau: float) -> Floats:
    """Return (C,) factors (mean‖w‖ / ‖w_c‖)^τ of the rows of a head; 1 for all if every row is zero."""
    mean = head.lengths.mean()
    if not mean > 0:
        return np.ones(len(head.lengths))
    factors: Floats = (mean / np.maximum(head.lengths, 1e-12 * mean)) ** tau
    return factors


def with_factors(logits: Floats, head: Head, factors: Floats) -> Floats:
    """Return (N, C) logits of a head whose rows are multiplied by (C,) factors, the biases as they are."""
    normalised: Floats = logits - head.bias
    normalised *= factors
    normalised += head.bias
    return normalised


def tau_normalised(logits: Floats, head: Head, tau: float) -> Floats:
    """Return (N, C) logits of a head with the rows w_c · (mean‖w‖ / ‖w_c‖)^τ; a row of zeros stays one."""
    return with_factors(logits, head, tau_factors(head, tau)) if head.lengths.mean() > 0 else logits
