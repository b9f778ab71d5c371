"""Load weights that finecal has not trained into timm models; match the rows of heads by class names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from finecal.errors import UserError, join_names
from finecal.models import foreign_names, transformers_config
from finecal.models.build import Architecture, build, head
from finecal.models.fitting import Checkpoint, fit_head, mismatch_error, other_patches, shapes_match, with_counters
from finecal.models.joined_heads import NAME, join_state, layers_of, split_state
from finecal.models.locations import config_of, names_of_rows, weights_files
from finecal.models.state_dicts import SHOWN, State, read_with_sayings
from finecal.models.stated_model import check_stated, of_arguments, of_config
from finecal.models.timm_conversion import adapt_by_timm, rename_by_timm
from finecal.models.transformers_config import is_transformers
from finecal.models.wrappers import find_model

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_checkpoint(path: str | Path, names: Sequence[str] | None = None) -> Checkpoint:
    """Read a file, or a folder that timm, transformers or `finecal export` has written.

    Parameters
    ----------
    names
        The classes of the head's rows, if the user gives them. Else they are read from the folder's config.json or the
        metadata of a file that finecal has written, where there are any, or are what stands beside the state dict.

    Raises
    ------
    UserError
        If it is missing or damaged, holds more than tensors and plain values, or a weight is not finite.
    """
    file, *_ = weights_files(str(path), str(path))
    state, named, said = read_with_sayings(file)
    _check_merged(state, file)
    for name, tensor in state.items():
        _check_numbers(name, tensor, file)
    known = tuple(names) if names else names_of_rows(path, str(path))
    beside = config_of(path, str(path))
    if is_transformers(beside):
        return Checkpoint(state, file, known, beside, named)
    return Checkpoint(state, file, known, None, named, of_config(beside) if beside else of_arguments(*said))


# Parts of names of weights that another tensor beside them changes → by what, and what makes one tensor of them.
UNMERGED = {
    "lora_A": ("LoRA's matrices", "`merge_and_unload()` of PEFT"),
    "parametrizations": ("a parametrisation", "`torch.nn.utils.parametrize.remove_parametrizations`"),
    "weight_orig": ("pruning or spectral normalisation", "`torch.nn.utils.prune.remove`"),
    "weight_g": ("weight normalisation", "`torch.nn.utils.remove_weight_norm`"),
}


def _check_merged(state: State, file: Path) -> None:
    """Refuse weights that are only computed of several tensors."""
    for part, (what, how) in UNMERGED.items():
        if name := next((name for name in state if part in name.split(".")), None):
            raise UserError(
                f"its weights are not whole: {name!r} belongs to {what}", where=str(file),
                hint=f"{how} puts them together; then save the state dict",
            )  # fmt: skip


def _check_numbers(name: str, tensor: Tensor, file: Path) -> None:
    """Refuse what is no plain tensor of numbers, or has values that no model can have."""
    is_plain = tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_quantized
    if not is_plain or (tensor.dtype not in FLOATS and name.endswith((".weight", ".bias"))):
        raise _kind_error(name, tensor, file)
    if tensor.dtype in FLOATS and not bool(tensor.isfinite().all()):
        raise UserError(f"the tensor {name!r} has values that are NaN or infinite", where=str(file))


def _kind_error(name: str, tensor: Tensor, file: Path) -> UserError:
    is_numbers = tensor.layout == torch.strided and not tensor.is_meta
    kind = str(tensor.dtype if is_numbers or tensor.is_quantized else "meta" if tensor.is_meta else tensor.layout)
    return UserError(
        f"the tensor {name!r} is of the kind {kind.removeprefix('torch.')}", where=str(file),
        why="Weights need plain numbers with a point, of 16, 32 or 64 bits",
        hint="Save the model that was not quantised, pruned or emptied",
    )  # fmt: skip


def load_checkpoint(path: str, use: Mapping[str, Any], description: Architecture, *, keep_head: bool) -> nn.Module:
    """Read a checkpoint and return the described model with its weights; `use` may have its head's `class_names`."""
    return load_as(read_checkpoint(path, use.get("class_names")), description, keep_head=keep_head)


def load_as(checkpoint: Checkpoint, description: Architecture, *, keep_head: bool) -> nn.Module:
    """Return the described model with the weights of a checkpoint.

    Parameters
    ----------
    keep_head
        Whether the head is needed, with its rows in the order of the data set's classes. If not, it is loaded where it
        fits and stays random otherwise.

    Raises
    ------
    UserError
        If tensors are missing, unexpected or of another shape; if the head is needed and lacks a class of the data
        set; if the weights say that they are of a model with other logits.
    """
    model = _fill(checkpoint, description, keep_head=keep_head)
    check_stated(checkpoint.stated, description, model, checkpoint.file)
    return model


def _fill(checkpoint: Checkpoint, description: Architecture, *, keep_head: bool) -> nn.Module:
    """Return the described model with the weights of a checkpoint, whatever the file says of its model.

    Names of transformers and torchvision are translated. State dicts whose names or shapes differ from the model's are
    then passed to timm, which converts older and other namings of its models, other numbers of channels and other sizes
    of position embeddings.
    """
    model = build(description, weights="random")
    last, wanted = head(model), model.state_dict()
    prefix = next(f"{name}." for name, module in model.named_modules() if module is last)
    state = join_state(_own_names(checkpoint, description, model, prefix, keep=keep_head), layers_of(model))
    state = with_counters(state, wanted)
    try:
        _check_all_heads(state, model, checkpoint.file, needed=keep_head)
        if keep_head:
            _check_no_layer_is_dropped(state, wanted, checkpoint.file)
        fitted = fit_head(dataclasses.replace(checkpoint, state=state), description, wanted, prefix, keep=keep_head)
    except UserError as error:
        if foreign := foreign_names.error(state, wanted, checkpoint.file, description.model):
            raise foreign from error
        raise
    for name, tensor in fitted.items():
        if name in wanted and wanted[name].is_floating_point() and tensor.dtype not in FLOATS:
            raise _kind_error(name, tensor, checkpoint.file)
    if shapes_match(fitted, wanted):
        model.load_state_dict(fitted)
        return model
    if problem := other_patches(fitted, wanted):
        raise UserError(
            problem, where=str(checkpoint.file), hint=f"Take a model of timm's with these, not {description.model!r}"
        )
    adapted = adapt_by_timm(split_state(fitted, layers_of(model)), description, model, prefix)
    if adapted is None:
        foreign = foreign_names.error(state, wanted, checkpoint.file, description.model)
        raise foreign or mismatch_error(fitted, wanted, checkpoint.file, description.model)
    return adapted


def _own_names(
    checkpoint: Checkpoint, description: Architecture, model: nn.Module, prefix: str, *, keep: bool
) -> State:
    """Return the model's tensors under timm's names, as far as the origin of the file is known."""
    wanted = model.state_dict()
    translated = foreign_names.translate(checkpoint.state, model, description.model, checkpoint.file)
    if checkpoint.config is not None and (problem := transformers_config.describe_difference(checkpoint.config, model)):
        raise UserError(
            f"these weights are not those of {description.model!r}", where=str(checkpoint.file), why=problem,
            hint="Check the model's name and its options",
        )  # fmt: skip
    if translated is not None:
        return translated
    body = [name for name in wanted if not name.startswith(prefix)]
    state = find_model(checkpoint.state, body, checkpoint.file, alone=keep)
    if f"{prefix}weight" in join_state(state, layers_of(model)):
        return state
    return rename_by_timm(state, description, model) or state


def _check_all_heads(state: State, model: nn.Module, file: Path, *, needed: bool) -> None:
    """Raise UserError if a head is needed and the file has none, or only some, of the layers whose mean it is."""
    layers = layers_of(model)
    lacking = [] if layers is None else [name for name in layers.own_tensors() if name not in state]
    if needed and lacking and f"{NAME}.weight" not in state:
        raise UserError(
            f"it has no {join_names(lacking, SHOWN)}", where=str(file),
            why=f"Its logits are a mean of {len(layers.names) if layers else 0} layers'",
            hint="Take timm's model with one classifier if it was trained so; or train the head "
            "(`pretraining.training`)",
        )  # fmt: skip


def _check_no_layer_is_dropped(state: State, wanted: State, file: Path) -> None:
    """Raise UserError for a layer before the head that timm had once and passes over in files that have it."""
    if layer := next((name for name in state if "pre_logits." in name and name not in wanted), None):
        raise UserError(
            f"its head reads the layer of {layer!r}, which timm's model no longer has", where=str(file),
            why="timm would leave that layer out, which gives other logits",
            hint="Train the head (`pretraining.training`), or bring logits (`finecal diagnose`)",
        )  # fmt: skip
