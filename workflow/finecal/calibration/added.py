"""What calibrators add to the logits, where that is all they do: they are scored from a pass that they share.

Such a method has, beside `apply`, a method `added(state, fine_tuning)` that says the same as an `Added`. Adding up
exponentials is most of what a score costs; exp(z + b) = exp(z) · exp(b), so those of the plain logits do for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from finecal.calibration.contract import Calibrator, Floats, Mask, State, Unlabelled, moves_gamma_only
from finecal.metrics.curve import GroupMaxima

LARGEST_SPREAD = 300.0  # of a shift: what is 0 in float64, e^−745, stays nothing beside e^−300


class Passed(Protocol):
    """What the pass says of N samples, as `finecal.metrics.scores.AnyGamma`: largest logits and log Σ exp."""

    @property
    def maxima(self) -> GroupMaxima: ...

    @property
    def log_sum_s(self) -> Floats: ...

    @property
    def log_sum_u(self) -> Floats: ...


@dataclass(frozen=True)
class Added:
    """Numbers that are added to the logits, none of which depends on a single class's logit of a sample.

    Attributes
    ----------
    shift
        (C,) for each class; None for nothing.
    rows
        What of the plain logits says which samples are shifted, (N,) bool; None for all.
    within_groups
        Whether log Σ exp over the own group, S or U, is then taken off each logit.
    to_s
        What of these logits says what is added to S, (N,).
    gamma
        What of these logits says the γ that is added to U, a number or (N,).
    """

    shift: Floats | None = None
    rows: Callable[[Passed], Mask] | None = None
    within_groups: bool = False
    to_s: Callable[[Passed], Floats] | None = None
    gamma: Callable[[Passed], float | Floats] | None = None


class AddShift:
    """Base of the methods that add `state["shift"]`, (C,), to the logits."""

    by_row = True

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        shifted: Floats = inputs.logits + state["shift"]
        return shifted

    def added(self, state: State, fine_tuning: Mask) -> Added:
        """See `finecal.calibration.added`."""
        return Added(shift=np.asarray(state["shift"]))


def added_by(method: Calibrator, state: State, fine_tuning: Mask) -> Added | None:
    """Return what a calibrator adds, None where it does more; `added` counts where the class has it beside `apply`."""
    if moves_gamma_only(method):
        return Added(gamma=lambda _: float(state["gamma"]))
    if _owner(method, "added") is None or _owner(method, "added") is not _owner(method, "apply"):
        return None
    found: Added = method.added(state, fine_tuning)  # type: ignore[attr-defined]
    return found if found.shift is None or np.ptp(found.shift) <= LARGEST_SPREAD else None


def _owner(method: Calibrator, name: str) -> type | None:
    """Return the class that defines a method of a calibrator's class."""
    return next((one for one in type(method).__mro__ if name in vars(one)), None)
