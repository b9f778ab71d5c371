"""Find the state dict among what a trainer has saved, and say so where several could be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from finecal.errors import UserError, counted, join_names

# The keys under which trainers save the state dict; averaged weights first, as in timm. Lightning's `WeightAveraging`
# and, after the training, its `StochasticWeightAveraging` have the averaged weights as `state_dict`.
NESTED = (
    "state_dict_ema", "model_ema", "ema_state_dict", "ema", "state_dict", "model_state_dict", "model_state", "model",
    "module", "net", "network", "weights", "params", "state",
)  # fmt: skip
# Keys of what is no model: of optimisers, random numbers, Lightning's callbacks and its weights before averaging.
NO_MODEL = re.compile(
    r"\w*optim\w*|opts?|\w*sched\w*|\w*scaler\w*|\w*rng\w*|callbacks|loops|current_model_state|averaging_state",
    re.IGNORECASE,
)
# Parts of keys and of names of averaged weights.
AVERAGED = re.compile(
    r"(?i:(?:^|[._])(?:ema|swa|avg|averaged?|shadow\w*|polyak)(?:[._]|$))|(?<=[a-z])(?:EMA|Ema|SWA|Swa)(?![a-z])"
)
# Parts that wrappers put into names, at any place: torch.compile, FSDP, activation checkpointing, Fabric, Opacus.
INSIDE = frozenset(
    {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_module", "_ddp_params"}
)
PLAIN = (Tensor, int, float, str, bytes, type(None), np.generic, np.ndarray)
COUNTER = "num_batches_tracked"  # BatchNorm's, which only training without momentum reads
DEEPEST, SHOWN = 8, 6
_BEFORE = frozenset({"module", "model", "net"})


class Found(NamedTuple):
    """A state dict, and the keys that lead to it."""

    path: tuple[str, ...]
    state: Mapping[str, Any]

    @property
    def is_averaged(self) -> bool:
        return any(AVERAGED.search(part) for part in self.path)

    def __str__(self) -> str:
        return repr(".".join(self.path))


def find_state(content: Any, file: Path) -> Any:
    """Return the innermost dict of tensors: the averaged one, if there are several of one model; else what was found.

    Raises
    ------
    UserError
        If several could be meant.
    """
    content = _with_texts(content)
    chosen = _descend(content)
    family, guessed = [chosen], not _has_tensors(chosen.state)
    every = [*_walk((), content)]
    if guessed:
        family = [one for one in every if not chosen.is_averaged or one.path[: len(chosen.path)] == chosen.path]
        if not family:
            return chosen.state
    there = {one.path for one in family}
    alike = [one for one in every if one.path not in there and _alike(one, family[0])]
    return _choose([*family, *alike], file, guessed=guessed).state


def _has_tensors(content: Any) -> bool:
    return isinstance(content, Mapping) and any(as_tensor(value) is not None for value in content.values())


def _with_texts(content: Any) -> Any:
    """Return a dict whose keys are bytes, as pickles of Python 2 may have them, with texts instead."""
    if isinstance(content, Mapping) and content and all(isinstance(key, bytes) for key in content):
        return {key.decode("utf-8", "replace"): value for key, value in content.items()}
    return content


def _descend(content: Any) -> Found:
    """Follow the keys in `NESTED` as deep as they lead."""
    path: tuple[str, ...] = ()
    passed: list[Any] = []
    while isinstance(content, Mapping) and not any(content is one for one in passed):
        passed.append(content)
        key = next((key for key in NESTED if isinstance(content.get(key), Mapping) and content[key]), None)
        if key is None:
            break
        path, content = (*path, key), _with_texts(content[key])
    return Found(path, content)


def as_tensor(value: Any) -> Tensor | None:
    """Return a tensor, or an array of numbers as one; None for others."""
    if isinstance(value, Tensor):
        return value
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        return None
    kind = np.dtype(np.float64) if value.dtype == np.longdouble else value.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(value, kind))  # a copy: torch takes no array that is read-only or turned around


def _walk(path: tuple[str, ...], content: Any, above: tuple[int, ...] = ()) -> Iterator[Found]:
    """Yield every dict of tensors that may be a model's."""
    if isinstance(content, (list, tuple)) and not path:
        content = {str(place): value for place, value in enumerate(content)}
    if not isinstance(content, Mapping) or id(content) in above or len(path) > DEEPEST:
        return
    here = (*above, id(content))
    content = _with_texts(content)
    values = content.values()
    if all(isinstance(value, PLAIN) for value in values) and any(_is_weight(value) for value in values):
        yield Found(path, content)
    for key, value in content.items():
        if isinstance(key, str) and not NO_MODEL.fullmatch(key):
            yield from _walk((*path, key), value, here)


def _is_weight(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray) and value.ndim > 1 and as_tensor(value) is not None


def _names(found: Found) -> dict[str, Tensor]:
    """Return the tensors by their names without what wrappers add."""
    named = {}
    for key, value in found.state.items():
        parts = [part for part in str(key).split(".") if part not in INSIDE]
        while len(parts) > 1 and parts[0] in _BEFORE:
            del parts[0]
        if parts[-1] != COUNTER and (tensor := as_tensor(value)) is not None:
            named[".".join(parts)] = tensor
    return named


def _alike(one: Found, other: Found) -> bool:
    """Return whether two state dicts are of one model, or of a part of it."""
    mine, theirs = _names(one), _names(other)
    common = sum(name in theirs and theirs[name].shape == tensor.shape for name, tensor in mine.items())
    return 2 * common >= max(1, min(len(mine), len(theirs)))


def _choose(family: list[Found], file: Path, *, guessed: bool) -> Found:
    """Return the only averaged one, else the first, if the others are the same and it was not found by a guess."""
    averaged = [one for one in family if one.is_averaged]
    first, *others = averaged or family
    tensors = _names(first)
    if any(guessed or not _equal(tensors, _names(one)) for one in others):
        quoted = join_names([str(one) for one in (first, *others)], SHOWN)
        raise UserError(
            f"it holds {counted(1 + len(others), 'state dict')} ({quoted})", where=str(file),
            hint="Save the one that you mean alone",
        )  # fmt: skip
    for one in family:
        if averaged and one is not first and (lacking := [name for name in _names(one) if name not in tensors]):
            raise UserError(
                f"its averaged weights ({first}) lack {join_names(lacking, SHOWN)} of {one}", where=str(file),
                why="With which of these tensors the model was evaluated is not in the file",
                hint="Save the whole state dict of the one that you mean alone",
            )  # fmt: skip
    return first


def _equal(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return mine.keys() == theirs.keys() and all(_same(tensor, theirs[name]) for name, tensor in mine.items())


def _same(one: Tensor, other: Tensor) -> bool:
    if one is other:
        return True
    plain = all(tensor.layout == torch.strided and not tensor.is_meta for tensor in (one, other))
    return plain and one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
