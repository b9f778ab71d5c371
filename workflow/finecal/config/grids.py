"""Expand one entry of an axis into many, with names made from what varies.

`grid: {recipe: full, grid: {optimizer: [sgd, adam], lr: [0.1, 0.01]}}` stands for the recipes grid_sgd_lr0.1,
grid_sgd_lr0.01, grid_adam_lr0.1 and grid_adam_lr0.01. The names are folders: they depend on the values alone, so that
a further value renames nothing.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

# Option → its short form in a name; other options keep their names.
SHORT = {"optimizer": "", "count": "", "weight_decay": "wd"}


def combinations(name: str, grid: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every combination of the values as (name of the entry, option → value), the last option fastest.

    >>> [entry for entry, _ in combinations("grid", {"optimizer": ["sgd"], "lr": [0.1, 1e-5], "weight_decay": [0]})]
    ['grid_sgd_lr0.1_wd0', 'grid_sgd_lr0.00001_wd0']
    """
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        yield "_".join([name, *(f"{SHORT.get(key, key)}{text(value)}" for key, value in chosen.items())]), chosen


def text(value: bool | int | float | str) -> str:
    """Return a value as a part of a folder name; raise ValueError if it cannot be one.

    >>> text(1e-05), text(0.10), text(5.0), text(True), text("adamw")
    ('0.00001', '0.1', '5', 'true', 'adamw')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        digits = format(Decimal(repr(value)), "f")
        value = digits.rstrip("0").rstrip(".") if "." in digits else digits
    if not re.fullmatch(r"[A-Za-z0-9_.+]+", value):
        raise ValueError(f"{value!r} cannot be a part of a folder name")
    return value
