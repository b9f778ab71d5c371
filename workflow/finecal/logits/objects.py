"""What loops, trainers and records leave, as columns by name: batches, pairs, records, a part for each subset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError
from finecal.io.outside import reason
from finecal.logits.subsets import WORDS
from finecal.logits.tensors import of_object, of_tensor

_WORDS = {word for words in WORDS.values() for word in words}


def columns_of(given: Any, where: str = "") -> Mapping[Any, Any] | None:
    """Return the columns of an object that has several; None for what is one array.

    Understood are mappings (also one of mappings by subset, or one in another), what the Trainer of transformers
    predicts, a TensorDataset, logits and labels in a tuple, a list of such tuples, and a list of records.

    Raises
    ------
    UserError
        If parts do not fit together.
    """
    if isinstance(given, Mapping):
        return _of_mapping(given, where)
    if hasattr(given, "predictions") and hasattr(given, "label_ids"):
        return {"logits": given.predictions, "label": given.label_ids}
    if isinstance(tensors := getattr(given, "tensors", None), tuple):
        given = tensors
    if not isinstance(given, (list, tuple)) or not len(given):
        return None
    if all(isinstance(one, Mapping) for one in given):
        return _of_records(given, where)
    if _is_pair(given):
        return _named(given)
    if all(isinstance(one, (list, tuple)) and _is_pair(one) for one in given):
        return _of_records([_named(one) for one in given], where)
    return None


def _of_mapping(given: Mapping[Any, Any], where: str) -> Mapping[Any, Any]:
    if not given or not all(isinstance(given[name], Mapping) for name in given):
        return given
    parts = list(given.values())
    if len(parts) == 1:
        return _of_mapping(parts[0], where)
    if not all(str(name).lower() in _WORDS for name in given):
        return given
    found = _of_records(parts, where)
    rows = [max((len(one) for one in part.values() if _depth(one)), default=0) for part in parts]
    return {**found, "subset": np.repeat([str(name) for name in given], rows)}


def _of_records(given: Sequence[Mapping[Any, Any]], where: str) -> dict[Any, Any]:
    """Records have a value for each column, batches have several: then a column of theirs is a matrix."""
    first = given[0]
    for one in given:
        if one.keys() != first.keys():
            names = sorted(map(str, one.keys() ^ first.keys()))
            raise UserError(f"{names[0]!r} is not in every part", where=where)
    depths = [_depth(value) for value in first.values()]
    batched = 2 in depths and 0 not in depths
    return {name: joined([one[name] for one in given], str(name), where, batched=batched) for name in first}


def joined(values: Sequence[Any], name: str, where: str = "", *, batched: bool) -> npt.NDArray[Any]:
    """Return rows, or batches of rows, as one array.

    Raises
    ------
    UserError
        If they differ in their shape.
    """
    arrays = [of_tensor(one, name, where) if hasattr(one, "detach") else of_object(one, name) for one in values]
    try:
        return np.concatenate(arrays) if batched else np.stack(arrays)
    except ValueError as error:
        raise UserError(f"{name} has parts that do not fit together ({reason(error)})", where=where) from error


def _depth(value: Any) -> int:
    """The dimensions of an array, or of lists in lists."""
    if isinstance(value, (list, tuple)):
        return 1 + _depth(value[0]) if value else 1
    return int(getattr(value, "ndim", 0))


def _is_pair(given: Sequence[Any]) -> bool:
    return len(given) == 2 and sorted(getattr(one, "ndim", 0) for one in given) == [1, 2]


def _named(pair: Sequence[Any]) -> dict[str, Any]:
    logits, labels = pair if pair[0].ndim == 2 else reversed(pair)
    return {"logits": logits, "label": labels}
