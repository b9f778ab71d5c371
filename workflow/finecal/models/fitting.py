"""Compare the tensors of a checkpoint with those of a model; match the rows of its head to classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from finecal.errors import UserError, counted, join_names
from finecal.models.build import Architecture
from finecal.models.heads import POOLED_TWICE
from finecal.models.imagenet_classes import as_called
from finecal.models.state_dicts import SHOWN, State
from finecal.models.stated_model import Stated
from finecal.models.whole_loading import COUNTER


@dataclass(frozen=True)
class Checkpoint:
    """A state dict, its file, the names of its head's rows (None if unknown), and transformers' configuration.

    `beside` are lists of names that stand beside the state dict: one with as many names as the head has rows is theirs.
    `stated` is what the file, or a config.json beside it, says of the model.
    """

    state: State
    file: Path
    names: tuple[str, ...] | None
    config: Mapping[str, Any] | None = None
    beside: tuple[tuple[str, ...], ...] = ()
    stated: Stated | None = None

    def names_of(self, rows: int) -> tuple[str, ...] | None:
        """Return the names of a head with so many rows; None if they are unknown.

        Raises
        ------
        UserError
            If the file names them in two ways.
        """
        fitting = [] if self.names is not None else [names for names in self.beside if len(names) == rows]
        if len(fitting) > 1:
            one, other = (join_names([repr(name) for name in names], SHOWN) for names in fitting[:2])
            raise UserError(
                f"it names its {counted(rows, 'class')} in two ways", where=str(self.file), why=f"{one}; and {other}",
                hint="Say which is right by `class_names`",
            )  # fmt: skip
        return fitting[0] if fitting else self.names


def fit_head(checkpoint: Checkpoint, description: Architecture, wanted: State, prefix: str, *, keep: bool) -> State:
    """Return the state with the head's rows in the data set's order, or with the model's head if it does not fit."""
    state, classes = dict(checkpoint.state), description.classes
    weight = state.get(f"{prefix}weight")
    if weight is not None and weight.ndim == 4 and weight.shape[2:] == (1, 1) and wanted[f"{prefix}weight"].ndim == 2:
        weight = state[f"{prefix}weight"] = weight[:, :, 0, 0]  # a 1 × 1 convolution on one pixel
    own = checkpoint.names if weight is None else checkpoint.names_of(len(weight))
    names = None if own is None else as_called(own, classes)
    if weight is not None and names is not None and len(names) != len(weight):
        raise UserError(
            f"{counted(len(names), 'class name')} for a head with {counted(len(weight), 'row')}",
            where=str(checkpoint.file), why="Every row needs a name",
        )  # fmt: skip
    problem = _head_problem(state, names, classes, prefix)
    width = _width_problem(weight, wanted[f"{prefix}weight"])
    if width and keep:
        raise UserError(width, where=str(checkpoint.file), hint=_width_hint(weight, wanted[f"{prefix}weight"]))
    problem = problem or width
    if problem and keep:
        raise UserError(
            problem, where=str(checkpoint.file), why="Without training the head is taken as it is",
            hint=_hint(state, wanted, prefix),
        )  # fmt: skip
    if problem:
        state = {key: tensor for key, tensor in state.items() if not key.startswith(prefix)}
        return state | {key: tensor for key, tensor in wanted.items() if key.startswith(prefix)}
    if names is not None:
        rows = [names.index(name) for name in classes]
        for key in (f"{prefix}weight", f"{prefix}bias"):
            if key in state:
                state[key] = state[key][rows]
    return state


def _width_hint(weight: Tensor | None, own: Tensor) -> str:
    if weight is not None and weight.shape[1] == 2 * own.shape[1]:
        return (
            "DINOv2's classifier reads the class token beside the mean of the patches: give the backbone "
            f"`options: {{{': '.join(POOLED_TWICE)}}}`"
        )
    return "Check the model's name and its options"


def _hint(state: State, wanted: State, prefix: str) -> str:
    if f"{prefix}weight" not in state and any(key.startswith(prefix) for key in state):
        return f"If only dropout stands before its last layer, save that as {prefix}weight and {prefix}bias"
    others = [name for name in state if name not in wanted and not name.endswith(COUNTER)]
    if f"{prefix}weight" not in state and others:
        return (
            f"The model has no place for {join_names(others, SHOWN)}: if they are the head, call them {prefix}weight "
            f"and {prefix}bias. Or train the head (`pretraining.training`)"
        )
    return "Name the classes of its rows (`class_names`), or train the head (`pretraining.training`)"


def _head_problem(state: State, names: tuple[str, ...] | None, classes: tuple[str, ...], prefix: str) -> str:
    """Return why a head does not fit the classes; empty if it does."""
    weight = state.get(f"{prefix}weight")
    if weight is None:
        others = join_names([name for name in state if name.startswith(prefix) and name != f"{prefix}bias"], SHOWN)
        if others:
            return f"its head is not one linear layer, but {others}"
        return f"it has no head ({prefix}weight)"
    if names is None:
        differ = len(weight) != len(classes)
        return f"its head has {counted(len(weight), 'class')}, the data set has {len(classes)}" if differ else ""
    problem = describe_missing_classes(names, classes)
    return f"its head {problem}" if problem else ""


def _width_problem(weight: Tensor | None, own: Tensor) -> str:
    """Return why a head does not fit the model's features; empty if it does."""
    if weight is None or weight.ndim != 2 or weight.shape[1] == own.shape[1]:
        return ""
    return f"its head reads {counted(weight.shape[1], 'feature')}, this model's {own.shape[1]}"


def describe_missing_classes(names: Sequence[str], classes: Sequence[str]) -> str:
    """Return the end of a message on a head whose rows have these names and lack a class; empty if none is missing."""
    missing = [name for name in classes if name not in names]
    if not missing:
        return ""
    lacking = join_names([repr(name) for name in missing], SHOWN)
    return f"has no class {lacking}; it has {', '.join(map(repr, names[:SHOWN]))}{', …' * bool(names[SHOWN:])}"


def shapes_match(state: State, wanted: State) -> bool:
    """Return whether the names and shapes are those of the model."""
    return state.keys() == wanted.keys() and all(state[key].shape == wanted[key].shape for key in wanted)


def mismatch_error(state: State, wanted: State, file: Path, model: str) -> UserError:
    """Return the error that lists the tensors which are missing, unexpected or of another shape."""
    missing = [f"{key} {_shape(wanted[key])}" for key in wanted if key not in state and not key.endswith(COUNTER)]
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


def with_counters(state: State, wanted: State) -> State:
    """Add BatchNorm's counters, which old checkpoints lack and no logit depends on."""
    there = [name for name in wanted if name.endswith(COUNTER) and f"{name.removesuffix(COUNTER)}running_mean" in state]
    return {**{name: wanted[name] for name in there}, **state}


def other_patches(state: State, wanted: State) -> str:
    """Say which convolution covers another number of pixels than the model's, which timm would resample; else empty."""
    for name, tensor in state.items():
        own = wanted.get(name)
        if own is None or not name.endswith("weight") or not tensor.ndim == own.ndim == 4:
            continue
        if tensor.shape[2:] != own.shape[2:]:
            there, here = (" × ".join(map(str, one.shape[2:])) for one in (tensor, own))
            return f"its {name} covers {there} pixels, the model's {here}"
    return ""
