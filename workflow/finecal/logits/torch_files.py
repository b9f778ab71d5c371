"""Files of torch.save: tensors, by name or in whatever lists and tuples loops have left. Nothing in them is run."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError, how_to_install, join_names
from finecal.logits.objects import columns_of, joined
from finecal.logits.tensors import of_tensor


def open_torch(path: Path) -> dict[str, Any]:
    """Return the tensors of a file by name; one alone is called logits.

    Raises
    ------
    UserError
        If torch is not there, or the file holds other objects than tensors.
    """
    if importlib.util.find_spec("torch") is None:
        raise UserError(
            "tensors need torch, which is not installed", where=str(path),
            hint=f"{how_to_install('pipeline')}; or save it with numpy.savez or as safetensors",
        )  # fmt: skip
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            "it holds other objects than tensors", where=str(path),
            why="Only tensors are read, as others could run code",
            hint='torch.save({"logits": logits, "label": labels}, FILE)',
        ) from error  # fmt: skip
    except RuntimeError as error:
        raise OSError(str(error).splitlines()[0]) from error
    named = columns_of(found, str(path))
    if named is None and all(map(_is_part, found if isinstance(found, (list, tuple)) and found else [found])):
        named = {"logits": found}  # alone, or rows or batches
    if named is None:
        raise UserError(f"it holds a {type(found).__name__}", where=str(path), why="Tensors by name are needed")
    columns = {str(name): _of_tensor(value, str(name), str(path)) for name, value in named.items() if _is_column(value)}
    if not columns:
        there = [f"{name} ({type(value).__name__})" for name, value in named.items()]
        raise UserError(
            f"it holds no tensors by name: {join_names(there, 6) or 'nothing'}", where=str(path),
            hint='torch.save({"logits": logits, "label": labels}, FILE)',
        )  # fmt: skip
    return columns


def _is_part(value: Any) -> bool:
    return hasattr(value, "detach") and value.dim() in (1, 2)


def _is_column(value: Any) -> bool:
    return hasattr(value, "detach") or isinstance(value, np.ndarray) or (isinstance(value, list) and len(value) > 0)


def _of_tensor(value: Any, name: str, where: str) -> npt.NDArray[Any]:
    if not isinstance(value, (list, tuple)):
        return value if isinstance(value, np.ndarray) else of_tensor(value, name, where)
    tensors = all(hasattr(one, "detach") and one.dim() for one in value)
    return joined(value, name, where, batched=name != "logits" or value[0].dim() > 1) if tensors else np.asarray(value)
