"""What a calibrator may see: exactly the data it declares, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from finecal.metrics import SeenUnseenCurve

# The data there is to read, and the letter that stands for it in tables.
READABLE = {
    "weights": "W",
    "train_fine_tuning": "S",
    "pretrained": "0",
    "pseudo_splits": "P",
    "target_unlabelled": "T",
    "validation": "V",
    "test": "O",
}


@dataclass(frozen=True)
class Labelled:
    """Logits (N, C), float32 or float64, with their labels (N,), integer."""

    logits: npt.NDArray[Any]
    labels: npt.NDArray[Any]


@dataclass(frozen=True)
class PseudoFold:
    """One pseudo-split: validation samples of S, seen by a model fine-tuned on S′ only.

    Attributes
    ----------
    logits
        (N, |S|), the columns of S alone, in the order of their class numbers.
    labels
        (N,), positions among those columns.
    fine_tuning
        (|S|,) bool, the columns of S′.
    """

    logits: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    fine_tuning: npt.NDArray[np.bool_]


class UndeclaredRead(Exception):  # noqa: N818 - it names what happened
    """A calibrator asked for data that it does not declare in READS: a mistake in its code."""


class Data:
    """The data handed to one calibrator.

    `data["train_fine_tuning"]` and `data["test"]` are `Labelled`; `data["pretrained"]` has the pretrained
    model's logits of the same samples as `train_fine_tuning`; `data["pseudo_splits"]` is a list of `PseudoFold`.
    `fine_tuning` is the (C,) bool mask of S, which every method knows.
    """

    def __init__(self, fine_tuning: npt.NDArray[np.bool_], available: Mapping[str, Any], reads: frozenset[str]) -> None:
        self.fine_tuning = fine_tuning
        self._granted = {name: value for name, value in available.items() if name in reads}

    def __getitem__(self, name: str) -> Any:
        if name not in self._granted:
            raise UndeclaredRead(f"{name!r} is read but not declared; declared and there: {sorted(self._granted)}")
        return self._granted[name]


class Calibrator(Protocol):
    """A post-hoc method: small state from the declared data, then logits in, logits out."""

    def fit(self, data: Data) -> dict[str, float]:
        """The method's parameters, such as {"gamma": 2.3}."""
        ...

    def apply(
        self, logits: npt.NDArray[Any], state: Mapping[str, float], fine_tuning: npt.NDArray[np.bool_]
    ) -> npt.NDArray[Any]:
        """Calibrated logits (N, C) of logits (N, C)."""
        ...


class AddGamma:
    """What all methods share whose only parameter is γ: it is added to every logit of U."""

    def apply(
        self, logits: npt.NDArray[Any], state: Mapping[str, float], fine_tuning: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        return logits + np.where(fine_tuning, 0.0, state["gamma"])


def finite_gamma(curve: SeenUnseenCurve, vertex: int) -> float:
    """A finite γ that reaches a vertex: at the ends of the curve any γ beyond the last threshold does."""
    gamma = float(curve.gamma[vertex])
    if np.isfinite(gamma):
        return gamma
    finite = curve.threshold[np.isfinite(curve.threshold)]
    if not finite.size:
        return 0.0
    end = float(finite[0] if gamma < 0 else finite[-1])
    beyond = max(1.0, 1e-6 * abs(end))  # next to a large logit a step of 1 is lost in rounding
    return end - beyond if gamma < 0 else end + beyond
