"""Load weights that finecal has not trained into timm models; match the rows of heads by class names."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from finecal.errors import UserError, join_names
from finecal.models.build import Architecture, build, head
from finecal.models.imagenet_classes import as_called
from finecal.models.locations import names_of_rows, weights_files
from finecal.models.state_dicts import SHOWN, State, read_state


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A state dict, its file, and the names of its head's rows, None if unknown."""

    state: State
    file: Path
    names: tuple[str, ...] | None


def read_checkpoint(path: str | Path, names: Sequence[str] | None = None) -> Checkpoint:
    """Read a file, or a folder that timm can load.

    Parameters
    ----------
    names
        The classes of the head's rows, if the user gives them. Else they are read from the folder's config.json or the
        metadata of a file that finecal has written, where there are any.

    Raises
    ------
    UserError
        If it is missing or damaged, holds more than tensors, or a weight is not finite.
    """
    file, *_ = weights_files(str(path), str(path))
    state = read_state(file)
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise UserError(f"the tensor {name!r} has values that are NaN or infinite", where=str(file))
    known = tuple(names) if names else names_of_rows(path, str(path))
    return Checkpoint(state, file, known)


def load_checkpoint(path: str, use: Mapping[str, Any], description: Architecture, *, keep_head: bool) -> nn.Module:
    """Read a checkpoint and return the described model with its weights; `use` may have its head's `class_names`."""
    return load_as(read_checkpoint(path, use.get("class_names")), description, keep_head=keep_head)


def load_as(checkpoint: Checkpoint, description: Architecture, *, keep_head: bool) -> nn.Module:
    """Return the described model with the weights of a checkpoint.

    State dicts whose names or shapes differ from the model's are passed to timm, which converts older and other namings
    of its models, other numbers of channels and other sizes of position embeddings.

    Parameters
    ----------
    keep_head
        Whether the head is needed, with its rows in the order of the data set's classes. If not, it is loaded where it
        fits and stays random otherwise.

    Raises
    ------
    UserError
        If tensors are missing, unexpected or of another shape; if the head is needed and lacks a class of the data
        set.
    """
    model = build(description, weights="random")
    last = head(model)
    place = next(name for name, module in model.named_modules() if module is last)
    if f"{place}.weight" not in checkpoint.state and (renamed := _rename_by_timm(checkpoint.state, description, model)):
        checkpoint = dataclasses.replace(checkpoint, state=renamed)
    state = _fit_head(checkpoint, description, model.state_dict(), f"{place}.", keep=keep_head)
    if _shapes_match(state, model.state_dict()):
        model.load_state_dict(state)
        return model
    adapted = _load_by_timm(state, description, model) if description.head == "linear" else None
    if adapted is None:
        raise _mismatch_error(state, model.state_dict(), checkpoint.file, description.model)
    return adapted


def _fit_head(checkpoint: Checkpoint, description: Architecture, wanted: State, prefix: str, *, keep: bool) -> State:
    """Return the state with the head's rows in the data set's order, or with the model's head if it does not fit."""
    state, classes = dict(checkpoint.state), description.classes
    names = None if checkpoint.names is None else as_called(checkpoint.names, classes)
    weight = state.get(f"{prefix}weight")
    if weight is not None and names is not None and len(names) != len(weight):
        raise UserError(
            f"{len(names)} class names for a head with {len(weight)} rows", where=str(checkpoint.file),
            why="Every row needs a name",
        )  # fmt: skip
    problem = _head_problem(weight, names, classes, prefix)
    if problem and keep:
        raise UserError(
            problem, where=str(checkpoint.file), why="Without training the head is taken as it is",
            hint="Name the classes of its rows (`class_names`), or train the head (`pretraining.training`)",
        )  # fmt: skip
    of_head = [key for key in wanted if key.startswith(prefix)]
    if problem:
        state = {key: tensor for key, tensor in state.items() if key not in of_head}
        return state | {key: wanted[key] for key in of_head}
    if names is not None:
        rows = [names.index(name) for name in classes]
        for key in (f"{prefix}weight", f"{prefix}bias"):
            if key in state:
                state[key] = state[key][rows]
    return state


def _head_problem(weight: Tensor | None, names: tuple[str, ...] | None, classes: tuple[str, ...], prefix: str) -> str:
    """Return why a head does not fit the classes; empty if it does."""
    if weight is None:
        return f"it has no head ({prefix}weight)"
    if names is None:
        differ = len(weight) != len(classes)
        return f"its head has {len(weight)} classes, the data set has {len(classes)}" if differ else ""
    problem = describe_missing_classes(names, classes)
    return f"its head {problem}" if problem else ""


def describe_missing_classes(names: Sequence[str], classes: Sequence[str]) -> str:
    """Return the end of a message on a head whose rows have these names and lack a class; empty if none is missing."""
    missing = [name for name in classes if name not in names]
    if not missing:
        return ""
    lacking = join_names([repr(name) for name in missing], SHOWN)
    return f"has no class {lacking}; it has {', '.join(map(repr, names[:SHOWN]))}{', …' * bool(names[SHOWN:])}"


def _shapes_match(state: State, wanted: State) -> bool:
    return state.keys() == wanted.keys() and all(state[key].shape == wanted[key].shape for key in wanted)


def _rename_by_timm(state: State, description: Architecture, model: nn.Module) -> State | None:
    """Return the state with its own head under timm's names; None if timm cannot convert its names.

    The number of classes of the head is not known yet. It is taken from the only matrix over the features whose shape
    occurs once, since layers within a model repeat.
    """
    shapes = Counter(tuple(tensor.shape) for tensor in state.values() if tensor.ndim == 2)
    width = head(model).in_features
    for (rows, columns), count in shapes.items():
        if count == 1 and columns == width and description.head == "linear":
            whole = dataclasses.replace(description, classes=tuple(map(str, range(rows))))
            if (found := _load_by_timm(state, whole, model)) is not None:
                return found.state_dict()
    return None


def _load_by_timm(state: State, description: Architecture, model: nn.Module) -> nn.Module | None:
    """Let timm rename and reshape the state; None if the result is not the whole model."""
    config: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
    first = config.get("first_conv")
    first_weight = state.get(f"{first}.weight") if isinstance(first, str) else None
    channels = int(first_weight.shape[1]) if first_weight is not None and first_weight.ndim == 4 else 3
    size = (channels, description.image_size, description.image_size)
    overlay = {
        "state_dict": dict(state), "num_classes": len(description.classes), "label_offset": 0, "custom_load": False,
        "input_size": size,
    }  # fmt: skip
    try:
        return build(description, weights="random", overlay=overlay)
    except (UserError, RuntimeError, KeyError, AttributeError, AssertionError, TypeError, ValueError, IndexError):
        return None  # the caller reports what does not fit


def _mismatch_error(state: State, wanted: State, file: Path, model: str) -> UserError:
    missing = [f"{key} {_shape(wanted[key])}" for key in wanted if key not in state]
    surplus = [f"{key} {_shape(state[key])}" for key in state if key not in wanted]
    other = [
        f"{key} {_shape(state[key])} instead of {_shape(wanted[key])}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    parts = [
        f"{len(found)} {word} ({', '.join(found[:SHOWN])}{', …' * bool(found[SHOWN:])})"
        for word, found in (("missing", missing), ("unexpected", surplus), ("of another shape", other))
        if found
    ]
    return UserError(
        f"these weights are not those of {model!r}", where=str(file), why=f"Tensors: {'; '.join(parts)}",
        hint="Check the model's name, its options, `image_size` and the number of channels",
    )  # fmt: skip


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"
