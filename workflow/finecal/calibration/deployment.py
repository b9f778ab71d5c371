"""Write a fitted calibrator as data for use outside finecal: scale and shift of each class's logit, or another kind.

Most methods are z′_c = a_c z_c + b_c. `apply` is tried on logits of all sizes, some of which S wins and some U, to find
out whether a method is one of them, so that a method of the user's own need not declare it. Any other method has
`deployed(state)`, which returns a dict with its `kind`, one of those in `finecal.export.standalone`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from finecal.calibration.contract import Floats, Head, Mask, State, Unlabelled
from finecal.errors import UserError

AFFINE = "affine"


def export_form(calibrator: Any, takes: frozenset[str], state: State, fine_tuning: Mask, head: Head) -> dict[str, Any]:
    """Return the kind of a fitted calibrator with its numbers; for "affine" `scale` and `shift`, both (C,).

    Raises
    ------
    UserError
        If it is not affine and has no method `deployed`.
    """
    if hasattr(calibrator, "deployed"):
        found: dict[str, Any] = calibrator.deployed(state)
        return found
    more = {"weights": head} if "weights" in takes else {}
    numbers = affine(calibrator, state, fine_tuning, more) if takes <= {"weights"} else None
    if numbers is None:
        raise UserError(
            "this calibrator cannot be exported", why="It does not scale and shift each class's logit by fixed numbers",
            hint="Its class can say what it is instead: see docs/export.md, `deployed`",
        )  # fmt: skip
    return {"kind": AFFINE, "scale": numbers[0], "shift": numbers[1]}


def affine(calibrator: Any, state: State, fine_tuning: Mask, more: Mapping[str, Any]) -> tuple[Floats, Floats] | None:
    """Return a and b, both (C,), if `apply` gives a · z + b for every z; else None."""
    classes = len(fine_tuning)

    def apply(z: Floats) -> Floats:
        values: Floats = np.asarray(calibrator.apply(Unlabelled(z, more=more), state, fine_tuning), np.float64)
        return values

    shift = apply(np.zeros((1, classes)))[0]
    scale = apply(np.ones((1, classes)))[0] - shift
    z = trial_logits(fine_tuning)
    wanted = z * scale + shift
    same = np.allclose(apply(z), wanted, rtol=1e-9, atol=1e-9 * (1 + np.abs(wanted).max()))
    return (scale, shift) if same and np.isfinite(scale).all() and np.isfinite(shift).all() else None


def trial_logits(fine_tuning: Mask) -> Floats:
    """Return small and large (N, C) logits; S wins in a third of the rows, U in another third."""
    random = np.random.default_rng(0)
    rows = [
        size * random.standard_normal((64, len(fine_tuning))) + 3 * size * favoured * np.where(fine_tuning, 1.0, -1.0)
        for size in (0.1, 1.0, 10.0, 100.0)
        for favoured in (-1, 0, 1)
    ]
    return np.concatenate(rows)
