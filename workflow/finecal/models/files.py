"""Models as files: weights as safetensors with their architecture as metadata, and the head as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import safetensors.torch
import torch
from torch import Tensor, nn

from finecal import schemas
from finecal.errors import UserError
from finecal.io.atomic import whole_file
from finecal.io.declared import conform
from finecal.io.list_columns import list_array
from finecal.io.outside import reading
from finecal.io.parquet import with_columns, write_table
from finecal.models.build import Architecture, build, head
from finecal.models.header import METADATA, read_header
from finecal.models.heads import CosineHead
from finecal.models.joined_heads import join_state, layers_of, split_state
from finecal.runtime.device import place_model


def save_model(path: str | Path, model: nn.Module, description: Architecture, *, provenance: Mapping[str, Any]) -> None:
    """Write the weights as safetensors, with the architecture and the provenance as metadata."""
    metadata = {METADATA: json.dumps({"architecture": asdict(description), **provenance}, sort_keys=True)}
    with whole_file(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(separate_tensors(model), metadata))


def separate_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the state dict on the CPU as safetensors takes it: contiguous, and no two names with the same memory.

    A model may have one tensor under several names, as CoaT has its position encodings; the file holds one copy for
    each name, so that any code which loads the model by these names finds them. The names are timm's, also of the
    layers of a joined head.
    """
    separate: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in split_state(model.state_dict(), layers_of(model)).items():
        one = tensor.detach().cpu().contiguous()
        place = one.untyped_storage().data_ptr()
        separate[name] = one.clone() if place in seen else one
        seen.add(place)
    return separate


def load_model(path: str | Path, device: torch.device | str = "cpu") -> tuple[nn.Module, Architecture]:
    """Build the model that a file describes and load its weights.

    Raises
    ------
    UserError
        If the file is missing, corrupt, or not written by `save_model`.
    """
    fields: dict[str, Any] = read_header(path)["architecture"]
    with reading(path, "safetensors"):
        weights = safetensors.torch.load_file(path)
    fields |= {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    if strange := sorted(fields.keys() - Architecture.__dataclass_fields__):
        raise UserError(f"its architecture has {strange[0]!r}, which this version does not know", where=str(path))
    with reading(path, "weights of the model that it describes"):
        description = Architecture(**fields)
        model = build(description, weights="random")
        model.load_state_dict(join_state(weights, layers_of(model)))
    return place_model(model, torch.device(device)), description


def write_head(
    path: str | Path,
    model: nn.Module,
    classes: Sequence[str],
    columns: Mapping[str, str | int],
    *,
    provenance: Mapping[str, Any],
) -> None:
    """Write the head as a table: class, name, weight (D × float32), bias, scale (null unless it is a cosine head)."""
    linear = head(model)
    bias = linear.bias if linear.bias is not None else torch.zeros(len(classes))
    scale = float(linear.scale.detach()) if isinstance(linear, CosineHead) else None
    table = pa.table(
        {
            "class": pa.array(range(len(classes)), pa.int32()),
            "name": pa.array(list(classes), pa.string()),
            "weight": list_array(linear.weight.detach().float().cpu().numpy()),
            "bias": pa.array(bias.detach().float().cpu().numpy()),
            "scale": pa.array([scale] * len(classes), pa.float32()),
        }
    )
    table = with_columns(conform(table, schemas.own_columns(schemas.HEAD)), columns)
    write_table(path, table, provenance=provenance)
