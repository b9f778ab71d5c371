"""Read state dicts from files of any origin.

Nothing in a file is executed: it is safetensors, or torch's own format read with `weights_only`.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from finecal.errors import UserError

State = dict[str, Tensor]
# The keys under which trainers save the state dict; averaged weights first, as in timm.
NESTED = (
    "state_dict_ema", "model_ema", "ema", "state_dict", "model_state_dict", "model_state", "model", "module", "net",
    "weights",
)  # fmt: skip
# Prefixes that wrappers add to every name: DistributedDataParallel, torch.compile, Lightning.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
SHOWN = 6  # names in an error


def read_state(file: Path) -> State:
    """Read the tensors of a file by name, without the prefixes of wrappers.

    Raises
    ------
    UserError
        If it is damaged, holds more than tensors, or holds no state dict.
    """
    try:
        if file.suffix == ".safetensors":
            return _find_state_dict(safetensors.torch.load_file(file), file)
        content = _load(file)
    except (safetensors.SafetensorError, OSError) as error:
        raise _unreadable_error(file, error) from error
    return _find_state_dict(content, file)


def _load(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            "it holds more than tensors, or is damaged", where=str(file),
            why="Only tensors are read (weights_only), since anything else could run code",
            hint="Save it again with torch.save(model.state_dict(), PATH), or as safetensors",
        ) from error  # fmt: skip
    except Exception as error:
        # Unpickling the bytes of a damaged file may raise anything: KeyError, IndexError, ….
        raise _unreadable_error(file, error) from error


def _unreadable_error(file: Path, error: Exception) -> UserError:
    said = str(error).splitlines()[:1]
    known = isinstance(error, (safetensors.SafetensorError, OSError, RuntimeError, ValueError)) and said
    reason = said[0] if known else ": ".join([type(error).__name__, *said])
    return UserError(f"not readable as a checkpoint ({reason})", where=str(file))


def _find_state_dict(content: Any, file: Path) -> State:
    """Return the innermost dict of tensors, without the numbers among them and the prefixes of wrappers."""
    passed: list[Any] = []
    while isinstance(content, Mapping) and not any(content is one for one in passed):
        passed.append(content)
        content = next((content[key] for key in NESTED if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping):
        raise UserError(f"it holds {type(content).__name__}, a state dict is needed", where=str(file))
    state: State = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    others = [value for value in content.values() if not isinstance(value, (Tensor, int, float, str, type(None)))]
    if not state or others or not all(isinstance(key, str) for key in state):
        keys = ", ".join(map(repr, list(content)[:SHOWN])) or "nothing"
        raise UserError(f"no state dict in it, but {keys}", where=str(file), why=f"Looked for {', '.join(NESTED)}")
    while prefix := next((p for p in PREFIXES if all(key.startswith(p) for key in state)), None):
        state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    return state
