"""The parameters of fitted calibrators as a table: numbers in `value`, arrays in `values`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from finecal import registry
from finecal.calibration.contract import REFUSED, Fitted, State
from finecal.io.arrow_values import numbers


def calibrator(use: Mapping[str, Any]) -> tuple[Any, frozenset[str], frozenset[str]]:
    """Return the calibrator of a use {calibrator, options}, what it reads and what it takes of each sample."""
    record = registry.calibrator_record(use["calibrator"])
    return record.make(record.options.model_validate(use["options"])), record.reads, record.takes


def state_rows(name: str, reads: Iterable[str], state: State) -> list[dict[str, Any]]:
    """Return a row for each parameter; an array is flattened in C order."""
    columns = {"calibrator": name, "reads": ", ".join(sorted(reads))}
    return [
        {**columns, "parameter": key, "value": None, "values": value.astype(np.float64).ravel()}
        if isinstance(value, np.ndarray)
        else {**columns, "parameter": key, "value": value, "values": None}
        for key, value in state.items()
    ]


def refusals(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each calibrator that found a value and did not take it, from rows of `state_rows`."""
    return [
        f"{row['calibrator']} refuses the value {row['value']:.4g}: it is an end of its range, or the validation data "
        "is of S or of U alone. What it would have scaled stays as it is."
        for row in rows
        if row["parameter"] == REFUSED
    ]


def read_states(table: pa.Table) -> dict[str, Fitted]:
    """Return calibrator → its parameters; arrays are flat."""
    states: dict[str, Fitted] = {}
    for name, parameter, value, values in zip(
        *(table[column] for column in ("calibrator", "parameter", "value", "values")), strict=True
    ):
        array = numbers(values.values) if values.is_valid else None
        states.setdefault(name.as_py(), {})[parameter.as_py()] = value.as_py() if array is None else array
    return states
