"""Read state dicts from files of any origin.

Nothing in a file is executed: it is safetensors, or torch's own format read with `weights_only`.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from finecal.errors import UserError, join_names
from finecal.io.outside import reading
from finecal.io.outside_warnings import unseen
from finecal.models.file_kinds import check_content
from finecal.models.nested_states import INSIDE, NESTED, PLAIN, as_tensor, find_state
from finecal.models.pickled_types import READ_PROTOCOLS, find_others, find_protocol, harmless
from finecal.models.said_beside import Names, arguments_in, class_names_in
from finecal.models.weight_files import is_index, parts

State = dict[str, Tensor]
Said = tuple[Mapping[str, Any], str | None]
# Counts beside averaged weights: of torch's AveragedModel, of lucidrains' EMA.
COUNTS = frozenset({"n_averaged", "initted", "step", "num_updates"})
SHOWN = 6  # names in an error


def read_state(file: Path) -> State:
    """Read the tensors of a file by name, or of the parts that an index lists, without what wrappers put into names.

    Raises
    ------
    UserError
        If it is damaged, holds objects that are not known to be harmless, or holds no state dict.
    """
    return read_with_sayings(file)[0]


def read_with_sayings(file: Path) -> tuple[State, tuple[Names, ...], Said]:
    """Read the tensors as `read_state` does, what may be the names of classes beside them, and `arguments_in`."""
    nothing: tuple[tuple[Names, ...], Said] = (), ({}, None)
    if is_index(file):
        return _read_parts(file), *nothing
    check_content(file)
    if file.suffix == ".safetensors":
        with reading(file, "a checkpoint"):
            return _find_state_dict(safetensors.torch.load_file(file), file), *nothing
    content = _load(file)
    return _find_state_dict(content, file), class_names_in(content), arguments_in(content)


def names_beside(file: Path) -> tuple[Names, ...]:
    """Return what may be the names of classes beside the tensors of a file, without reading these where that can be.

    Raises
    ------
    UserError
        As for `read_state`.
    """
    if is_index(file) or file.suffix == ".safetensors":
        return ()
    check_content(file)
    return class_names_in(_load(file, mapped=zipfile.is_zipfile(file)))


def _read_parts(index: Path) -> State:
    whole: State = {}
    for part in parts(index):
        state = read_state(part)
        if twice := [name for name in state if name in whole]:
            raise UserError(f"the tensor {twice[0]!r} is in two parts", where=str(index))
        whole |= state
    return whole


def _load(file: Path, *, mapped: bool = False) -> Any:
    with reading(file, "a checkpoint"), torch.serialization.safe_globals(harmless()), unseen():
        try:
            return torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
        except pickle.UnpicklingError as error:
            others = find_others(file)
            if not others and (protocol := find_protocol(file)) not in READ_PROTOCOLS:
                raise UserError(
                    f"it is pickled with protocol {protocol}", where=str(file),
                    why="torch's reader that runs no code (weights_only) knows protocol 2, the default of torch.save",
                    hint="Save it again without `pickle_protocol`, or as safetensors",
                ) from error  # fmt: skip
            named = f": {join_names(others, SHOWN)}" if others else ", or is damaged"
            raise UserError(
                f"it holds more than tensors{named}", where=str(file),
                why="Only tensors and plain values are read (weights_only), since anything else could run code",
                hint="Save it again with torch.save(model.state_dict(), PATH), or as safetensors",
            ) from error  # fmt: skip


def _find_state_dict(content: Any, file: Path) -> State:
    """Return the innermost dict of tensors, without the numbers among them and what wrappers put into names."""
    content = find_state(content, file)
    if not isinstance(content, Mapping):
        raise UserError(f"it holds {type(content).__name__}, a state dict is needed", where=str(file))
    state: State = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not state:  # NumPy's arrays instead
        state = {key: tensor for key, value in content.items() if (tensor := as_tensor(value)) is not None}
    others = [value for value in content.values() if not isinstance(value, PLAIN)]
    if not state or others or not all(isinstance(key, str) for key in state):
        keys = ", ".join(map(repr, list(content)[:SHOWN])) or "nothing"
        raise UserError(f"no state dict in it, but {keys}", where=str(file), why=f"Looked for {', '.join(NESTED)}")
    return _without_wrappers(state, file)


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
