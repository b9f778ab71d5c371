"""Classes without scores: the same in every row, or replaced by a very low number, in all rows or in some."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError, counted, join_names
from finecal.io import large
from finecal.logits.conversions import Floats

MASK = -9_000.0  # what is so low was put there: -1e4, -65504 (half precision), -1e9, -inf


def masked(values: Floats, kind: str, where: str) -> tuple[npt.NDArray[np.intp], int]:
    """Return the classes that have the same score in every row, or a mask in any row; and the rows with such holes.

    Raises
    ------
    UserError
        If a row has no score at all, though others have.
    """
    if len(values) < 3:
        return np.zeros(0, dtype=np.intp), 0
    low = MASK if kind not in ("probabilities", "sigmoid", "percentages") else -1.0
    same, lowest, highest = np.ones(values.shape[1], bool), *np.full((2, values.shape[1]), [[np.inf], [-np.inf]])
    for rows in large.parts(values):
        part = values[rows]
        same &= (part == values[0]).all(axis=0)
        lowest = np.minimum(lowest, part.min(axis=0, initial=np.inf))
        highest = np.maximum(highest, part.max(axis=0, initial=-np.inf))
    sample = values[: min(len(values), 4096)]
    usual = sample[np.isfinite(sample) & (sample > MASK)]
    far = 10 * (usual.max() - usual.min()) + 1000 if usual.size else np.inf
    far_below = (usual.min() if usual.size else 0.0) - far
    below = (lowest <= low) & (lowest < far_below)
    floor = min(low, far_below)
    if kind == "log-probabilities":  # a probability of 0 has the logarithm −inf
        below &= ~np.isneginf(lowest)
    return np.flatnonzero(same | below), _holes(values, below & ~same & (highest > floor), floor, where)


def _holes(values: Floats, classes: npt.NDArray[np.bool_], floor: float, where: str) -> int:
    """Return how many rows lack the score of a class that other rows have."""
    if not classes.any():
        return 0
    found, start = 0, 0
    for rows in large.parts(values):
        gone = values[rows] <= floor
        if (empty := gone.all(axis=1)).any():
            row = start + int(empty.argmax())
            raise UserError(f"row {row} has no score, all of its classes are masked", where=where, hint="Leave it out")
        found, start = found + int(gone[:, classes].any(axis=1).sum()), start + len(gone)
    return found


def without(logits: Floats, classes: npt.NDArray[np.intp], holes: int) -> tuple[Floats, list[str]]:
    """Put finite numbers where masks are; say which classes they hide."""
    if not len(classes):
        return logits, []
    kept = logits.astype(np.float64)
    part = kept[:, classes]
    rest = np.delete(kept, classes, axis=1)
    rest = rest[np.isfinite(rest) & (rest > MASK)]
    floor = float(rest.min()) - 1 if rest.size else 0.0
    hidden = ~(part > MASK)
    if (hidden & np.isnan(part)).any():
        return logits, []  # refused by what checks that all are finite
    part[hidden] = floor
    kept[:, classes] = part
    names = join_names([str(number) for number in classes], 12)
    one = len(classes) == 1
    if holes:
        return kept, [
            f"{counted(holes, 'row')} of {len(kept):,} {'lacks' if holes == 1 else 'lack'} the score of a class (−∞, "
            f"or a very low number), of class{'' if one else 'es'} {names}: masked, or only the largest were kept."
        ]
    return kept, [
        f"Class{'' if one else 'es'} {names} {'has' if one else 'have'} no scores: the same in every row, or masked (a "
        "very low number)."
    ]
