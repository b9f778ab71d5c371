"""Columns that are called like classes are brought into the order that the classes have elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import join_names
from finecal.io import large


def order(own: Sequence[str] | None, wanted: Sequence[str] | None, what: str) -> tuple[list[int] | None, list[str]]:
    """Return which column is the k-th class, None for the order that there is; and what to say.

    Parameters
    ----------
    own
        What the columns are called; None where they have no names.
    wanted
        The names of the classes in their order.
    what
        Of whom the order is.

    >>> order(["b", "a"], ["a", "b"], "the list of classes")[0]
    [1, 0]
    """
    if own is None or wanted is None or len(own) != len(wanted) or list(own) == list(wanted):
        return None, []
    if {*own} == {*wanted}:
        place = {name: number for number, name in enumerate(own)}
        return [place[name] for name in wanted], [
            f"The columns were brought into the order of {what}, as the names are the same."
        ]
    return None, [
        f"The columns are called {join_names(list(own), 3)}, the classes of {what} {join_names(list(wanted), 3)}: "
        "column k is taken as the k-th class."
    ]


def columns(values: npt.NDArray[Any], chosen: Sequence[int]) -> npt.NDArray[Any]:
    """Return the columns of a matrix in an order, a part at a time."""
    found = large.empty(values.shape, values.dtype)
    for rows in large.parts(values):
        found[rows] = values[rows][:, np.asarray(chosen)]
    return found
