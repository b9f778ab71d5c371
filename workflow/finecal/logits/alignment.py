"""Bring the rows of two files together by the names of their samples; where there are none, the order is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal import display
from finecal.errors import UserError

TRUSTED = (
    "The order of the rows was trusted: {what} and the logits have no common column sample, id or file. Rows that are "
    "not the same samples make answers wrong, and nothing would show it."
)

STRANGERS = (
    "The two models' logits agree no more in a row than those of different samples of a class would: these are "
    "probably not the same samples, or classes in another order. Methods that read the pretrained model are left out."
)
ORDER_COUNTS = "If the order of the rows counts, leave that column out"
COMPARED = 20_000  # rows


def agree(own: npt.NDArray[Any], other: npt.NDArray[Any], labels: npt.NDArray[Any] | None) -> bool:
    """Return whether what is particular to a sample, beyond its class, is alike in both models; True for few samples.

    Rows that were permuted within their classes correlate by accident only, below 4 / √(N·(C − 1)).
    """
    if labels is None or len(labels) < 100:
        return True
    own, other, labels = (array[:COMPARED] for array in (own, other, labels))
    one, two = (_particular(logits.astype(np.float64), labels) for logits in (own, other))
    norm = np.sqrt((one**2).sum() * (two**2).sum())
    if not norm > 0:
        return True
    return bool((one * two).sum() / norm > 4 / np.sqrt(len(labels) * (own.shape[1] - 1)))


def _particular(logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return logits (N, C) less the mean of their class, and less their own mean."""
    names, numbers = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(names), logits.shape[1]))
    np.add.at(sums, numbers, logits)
    rest = logits - (sums / np.bincount(numbers)[:, None])[numbers]
    found: npt.NDArray[np.float64] = rest - rest.mean(axis=1, keepdims=True)
    return found


def common(
    own: Mapping[str, npt.NDArray[Any]], other: Mapping[str, npt.NDArray[Any]]
) -> tuple[npt.NDArray[Any] | None, npt.NDArray[Any] | None]:
    """Return what the rows are called in both: the column of the same name, else the first of each; None without."""
    same = next((name for name in own if name in other), None)
    if same is not None:
        return own[same], other[same]
    return next(iter(own.values()), None), next(iter(other.values()), None)


def order(
    own: npt.NDArray[Any] | None, other: npt.NDArray[Any] | None, lengths: tuple[int, int], where: str
) -> tuple[npt.NDArray[np.intp] | None, list[str]]:
    """Return the rows of the other file that belong to those of the first, None for the same order; and what to say.

    Parameters
    ----------
    own, other
        (N,) and (M,) text, what the samples are called; None where there is no such column.
    lengths
        N and M.
    where
        The other file.

    Raises
    ------
    UserError
        If a sample is missing or there more than once, or without names if the numbers of rows differ.
    """
    if own is None or other is None:
        if lengths[0] != lengths[1]:
            raise UserError(
                f"{display.count(lengths[1], 'row')} here, the logits have {lengths[0]:,}", where=where,
                hint="A column sample, id or file in both says which rows belong together",
            )  # fmt: skip
        return None, [TRUSTED.format(what=where or "what was given")]
    if np.array_equal(own, other):  # also where names are there more than once
        return None, []
    for names in (own, other):
        found, counts = np.unique(names, return_counts=True)
        if (counts > 1).any():
            raise UserError(
                f"sample {str(found[counts > 1][0])!r} is there more than once", where=where, hint=ORDER_COUNTS
            )
    sorting = np.argsort(other, kind="stable")
    places = np.searchsorted(other, own, sorter=sorting)
    places = sorting[np.minimum(places, len(other) - 1)]
    gone = other[places] != own
    if gone.any():
        raise UserError(
            f"sample {str(own[gone][0])!r} is missing ({display.count(int(gone.sum()), 'sample')} of {len(own):,})",
            where=where, why="Each row of the logits needs the row of the same sample", hint=ORDER_COUNTS,
        )  # fmt: skip
    moved = not np.array_equal(places, np.arange(len(own)))
    return places, [f"Rows of {where or 'what was given'} were matched by their names; their order differs."] * moved
