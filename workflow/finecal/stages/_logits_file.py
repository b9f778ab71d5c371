"""Read logits that the user brings: a Parquet or an .npz file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from finecal.calibration.inputs import Predictions, check_logits
from finecal.errors import UserError
from finecal.io.list_columns import matrix
from finecal.io.parquet import read_table


def read_logits(path: Path) -> tuple[Predictions, list[str]]:
    """Read logits from a Parquet or .npz file; also what should be said about them.

    Without the column subset all rows are test rows.
    """
    arrays = _arrays_of_npz(path) if path.suffix == ".npz" else _arrays_of_parquet(path)
    for name in ("label", "logits"):
        if name not in arrays:
            raise UserError(
                f"the column {name!r} is missing", where=str(path), why=f"It has {', '.join(arrays) or 'none'}"
            )
    labels, logits, features = arrays["label"], arrays["logits"], arrays.get("features")
    if len(labels) == 0:
        raise UserError("there is no sample", where=str(path))
    for name, array in (("logits", logits), ("features", features)):
        if array is not None and (array.ndim != 2 or array.dtype.kind != "f"):
            raise UserError(
                f"{name} has shape {array.shape} and type {array.dtype}", where=str(path),
                why="It must be a list of floating-point numbers per sample, all of the same length",
            )  # fmt: skip
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UserError(f"label has type {labels.dtype}", where=str(path), why="Labels are integers, counted from 0")
    for name, array in arrays.items():
        if len(array) != len(labels):
            raise UserError(f"{name} has {len(array)} rows, label has {len(labels)}", where=str(path))
    check_logits(logits, labels, logits.shape[1], str(path))
    note = []
    if "subset" in arrays:
        subset = arrays["subset"].astype(str)
        wrong = sorted(set(subset) - {"train", "validation", "test"})
        if wrong:
            raise UserError(
                f"subset has the value {str(wrong[0])!r}", where=str(path), why="Allowed are train, validation and test"
            )
    else:
        subset = np.full(len(labels), "test")
        note.append("No column `subset`: all rows are taken as test rows.")
    samples = np.arange(len(labels), dtype=np.int32)
    return Predictions(samples, labels.astype(np.int32), subset, logits, features), note


def _arrays_of_parquet(path: Path) -> dict[str, np.ndarray]:
    try:
        table = read_table(path)
    except UserError as error:  # without the hint to delete it: this file is the user's own
        raise UserError(error.what, where=error.where, why=error.why) from error
    arrays: dict[str, np.ndarray] = {}
    for name in ("label", "logits", "features", "subset"):
        if name in table.column_names:
            column = table[name]
            if column.null_count:
                raise UserError(f"the column {name!r} has {column.null_count} empty values", where=str(path))
            is_list = pa.types.is_nested(column.type)
            try:
                arrays[name] = matrix(column) if is_list else column.to_numpy()
            except UserError as error:
                raise UserError(f"the column {name!r} has {error.what}", where=str(path)) from error
    return arrays


def _arrays_of_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ("label", "logits", "features", "subset") if name in file}
    except FileNotFoundError as error:
        raise UserError("this file is missing", where=str(path)) from error
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"not readable as .npz ({error})", where=str(path)) from error
