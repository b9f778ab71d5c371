"""What makes any answer worthless: said first, and no advice is given then."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal import display
from finecal.errors import join_names
from finecal.io.large import drawn

LOOKED_AT = 1 << 25  # logits: more rows say nothing more
FEWEST = 20  # rows of S from which accuracy at chance is no accident
Mask = npt.NDArray[np.bool_]


def doubts(
    logits: npt.NDArray[Any], labels: npt.NDArray[np.int32], subset: npt.NDArray[Any], fine_tuning: Mask,
    masked: tuple[int, ...] = (), holes: int = 0,
) -> list[str]:  # fmt: skip
    """Return a sentence for whatever forbids an answer; none if there is nothing.

    Parameters
    ----------
    logits
        (N, C).
    labels
        (N,) class numbers.
    subset
        (N,) of train, validation and test.
    fine_tuning
        (C,) the classes of S.
    masked
        Classes without scores.
    holes
        Rows that lack a score which others have.
    """
    found = []
    if masked:
        found.append(_of_masks(np.asarray(masked), fine_tuning, holes))
    of_s = fine_tuning[labels]
    test = subset == "test"
    if not of_s.any():
        found.append(
            "No row is labelled with a class of S: the fine-tuning classes or the labels are not those of the data."
        )
    elif not of_s[test].any():
        found.append("No test row is labelled with a class of S: what γ costs there cannot be measured.")
    if of_s.all():
        found.append("No row is labelled with a class of U: what was damaged there cannot be measured.")
    found += _of_training_rows(labels[subset == "train"], np.flatnonzero(fine_tuning))
    train = of_s & (subset == "train")
    name, rows = ("training", train) if train.sum() >= FEWEST else ("test", of_s & test)
    if rows.sum() >= FEWEST and fine_tuning.sum() > 1 and not masked:
        looked_at = drawn(rows, max(LOOKED_AT // len(fine_tuning), FEWEST))
        found += _at_chance(logits[looked_at][:, fine_tuning], labels[looked_at], np.flatnonzero(fine_tuning), name)
    return found


def _of_training_rows(labels: npt.NDArray[Any], of_s: npt.NDArray[np.intp]) -> list[str]:
    """Compare S with the classes that were trained on, which are those of S, or of S and U."""
    there = np.unique(labels)
    gone, more = (np.setdiff1d(one, other) for one, other in ((of_s, there), (there, of_s)))
    if len(labels) < FEWEST or not len(gone) or not len(more) or (len(gone) != len(more) and len(gone) < len(of_s)):
        return []
    trained, told = (join_names([str(number) for number in numbers], 12) for numbers in (there, of_s))
    return [
        f"The training rows have the labels {trained}, S is told as {told} (counted from 0): a model is fine-tuned on "
        "the classes of its training rows."
    ]


def predicted(logits: npt.NDArray[Any], labels: npt.NDArray[np.int32]) -> list[str]:
    """Say it where every label is the class with the largest score."""
    looked_at = drawn(np.ones(len(labels), dtype=bool), max(LOOKED_AT // logits.shape[1], FEWEST))
    if len(labels) < FEWEST or not (logits[looked_at].argmax(axis=1) == labels[looked_at]).all():
        return []
    return ["Every label is the class with the largest score: if the labels are predictions, bring the true ones."]


def _of_masks(masked: npt.NDArray[np.intp], fine_tuning: Mask, holes: int) -> str:
    names = join_names([str(number) for number in masked], 12)
    one = len(masked) == 1
    hidden = ~fine_tuning
    hidden[masked] = False
    all_of_u = (
        " These are all classes of U, so nothing can bring them back from these logits."
        if not hidden.any() and not fine_tuning[masked].any()
        else ""
    )
    if holes:
        return (
            f"{display.count(holes, 'row')} {'lacks' if holes == 1 else 'lack'} scores that others have (of class"
            f"{'' if one else 'es'} {names}): no γ can be found from logits that say nothing. Save the logits of all "
            "classes, before masking, not the largest alone."
        )
    return (
        f"Class{'' if one else 'es'} {names} {'has' if one else 'have'} no scores (masked, or never written): no γ can "
        f"be found from logits that say nothing.{all_of_u} Save the logits of all classes, before masking."
    )


def _at_chance(logits: npt.NDArray[Any], labels: npt.NDArray[Any], of_s: npt.NDArray[np.intp], name: str) -> list[str]:
    """Compare accuracy among the classes of S with that of predictions that have nothing to do with the labels."""
    said = of_s[logits.argmax(axis=1)]
    right = said == labels
    size = int(of_s.max()) + 1
    share = [np.bincount(values, minlength=size) / len(labels) for values in (said, labels)]
    chance = float(share[0] @ share[1])
    if right.mean() > chance + 3 * math.sqrt(max(chance * (1 - chance), 1e-9) / len(labels)):
        return []
    number, by_chance = (f"{100 * value:.1f} %" for value in (float(right.mean()), chance))
    why = _explanation(logits, labels, of_s, said)
    return [
        f"On the {display.count(len(labels), f'{name} row')} of S the model is right for {number} among the classes of "
        f"S, chance is {by_chance}: labels, class order or the fine-tuning classes are not those of these logits.{why}"
    ]


def _explanation(
    logits: npt.NDArray[Any], labels: npt.NDArray[Any], of_s: npt.NDArray[np.intp], said: npt.NDArray[Any]
) -> str:
    """Say which simple mistake would explain it."""
    if (said == labels - 1).mean() > 0.5:
        return " With 1 subtracted they fit: the labels start at 1."
    if (said == labels + 1).mean() > 0.5:
        return " With 1 added they fit: the columns start with a class that the labels leave out."
    if (of_s[logits.argmin(axis=1)] == labels).mean() > 0.5:
        return " The smallest score is mostly right: these are distances, bring them with the sign changed."
    usual = {int(label): int(np.bincount(said[labels == label]).argmax()) for label in np.unique(labels)}
    kept = np.mean([usual[int(label)] == one for label, one in zip(labels, said, strict=True)])
    if kept > 0.5 and len(set(usual.values())) == len(usual):
        pairs = join_names([f"{label} → {one}" for label, one in usual.items() if label != one], 4)
        return f" Each class is mostly predicted as one other ({pairs}): the order of the classes differs."
    return ""
