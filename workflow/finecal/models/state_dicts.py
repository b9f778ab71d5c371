"""Read state dicts from files of any origin.

Nothing in a file is executed: it is safetensors, or torch's own format read with `weights_only`.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from finecal.errors import UserError, join_names
from finecal.io.outside import reading
from finecal.models.file_kinds import check_content
from finecal.models.pickled_types import find_others, harmless
from finecal.models.weight_files import is_index, parts

State = dict[str, Tensor]
# The keys under which trainers save the state dict; averaged weights first, as in timm. Lightning's `WeightAveraging`
# and, after the training, its `StochasticWeightAveraging` have the averaged weights as `state_dict`.
NESTED = (
    "state_dict_ema", "model_ema", "ema_state_dict", "ema", "state_dict", "model_state_dict", "model_state", "model",
    "module", "net", "network", "weights", "params", "state",
)  # fmt: skip
# Parts that wrappers put into names, at any place: torch.compile, FSDP, activation checkpointing, Fabric, Opacus.
INSIDE = frozenset(
    {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_module", "_ddp_params"}
)
# Counts beside averaged weights: of torch's AveragedModel, of lucidrains' EMA.
COUNTS = frozenset({"n_averaged", "initted", "step", "num_updates"})
PLAIN = (Tensor, int, float, str, bytes, type(None), np.generic, np.ndarray)
SHOWN = 6  # names in an error


def read_state(file: Path) -> State:
    """Read the tensors of a file by name, or of the parts that an index lists, without what wrappers put into names.

    Raises
    ------
    UserError
        If it is damaged, holds objects that are not known to be harmless, or holds no state dict.
    """
    if is_index(file):
        return _read_parts(file)
    check_content(file)
    if file.suffix == ".safetensors":
        with reading(file, "a checkpoint"):
            content: Any = safetensors.torch.load_file(file)
    else:
        content = _load(file)
    return _find_state_dict(content, file)


def _read_parts(index: Path) -> State:
    whole: State = {}
    for part in parts(index):
        state = read_state(part)
        if twice := [name for name in state if name in whole]:
            raise UserError(f"the tensor {twice[0]!r} is in two parts", where=str(index))
        whole |= state
    return whole


def _load(file: Path) -> Any:
    with reading(file, "a checkpoint"), torch.serialization.safe_globals(harmless()):
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            others = find_others(file)
            named = f": {join_names(others, SHOWN)}" if others else ", or is damaged"
            raise UserError(
                f"it holds more than tensors{named}", where=str(file),
                why="Only tensors and plain values are read (weights_only), since anything else could run code",
                hint="Save it again with torch.save(model.state_dict(), PATH), or as safetensors",
            ) from error  # fmt: skip


def _find_state_dict(content: Any, file: Path) -> State:
    """Return the innermost dict of tensors, without the numbers among them and what wrappers put into names."""
    passed: list[Any] = []
    while isinstance(content, Mapping) and not any(content is one for one in passed):
        passed.append(content)
        content = next((content[key] for key in NESTED if isinstance(content.get(key), Mapping)), content)
    if isinstance(content, Mapping) and not any(isinstance(value, (Tensor, np.ndarray)) for value in content.values()):
        content = _only_one(content, file)
    if not isinstance(content, Mapping):
        raise UserError(f"it holds {type(content).__name__}, a state dict is needed", where=str(file))
    state: State = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not state:  # NumPy's arrays instead
        arrays = {key: value for key, value in content.items() if isinstance(value, np.ndarray)}
        state = {key: torch.from_numpy(value) for key, value in arrays.items() if value.dtype.kind in "fiu"}
    others = [value for value in content.values() if not isinstance(value, PLAIN)]
    if not state or others or not all(isinstance(key, str) for key in state):
        keys = ", ".join(map(repr, list(content)[:SHOWN])) or "nothing"
        raise UserError(f"no state dict in it, but {keys}", where=str(file), why=f"Looked for {', '.join(NESTED)}")
    return _without_wrappers(state, file)


def _only_one(content: Mapping[Any, Any], file: Path) -> Mapping[Any, Any]:
    """Return the only dict of tensors under a key that is not among `NESTED`; the dict itself if there is none."""
    inner = {
        key: value for key, value in content.items()
        if isinstance(value, Mapping) and value and all(isinstance(one, PLAIN) for one in value.values())
        and any(isinstance(one, Tensor) and one.ndim > 1 for one in value.values())
    }  # fmt: skip
    if len(inner) > 1:
        raise UserError(
            f"it holds {len(inner)} state dicts ({join_names([repr(key) for key in inner], SHOWN)})", where=str(file),
            hint="Save the one that you mean alone",
        )  # fmt: skip
    return next(iter(inner.values()), content)


def _without_wrappers(state: State, file: Path) -> State:
    found: State = {}
    for key, tensor in state.items():
        parts = key.split(".")
        if parts[-1] in COUNTS and tensor.numel() == 1:
            continue
        name = ".".join(part for part in parts if part not in INSIDE)
        if name in found:
            raise UserError(f"two tensors are called {name!r} without what wrappers add", where=str(file))
        found[name] = tensor
    return found
