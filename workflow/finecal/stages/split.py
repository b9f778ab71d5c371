"""Divide the classes Y into fine-tuning classes S and absent classes U: split.parquet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter

from finecal import paths
from finecal.artifacts import provenance, with_columns, write_table
from finecal.config import ClassesSplit, OfficialSplit, RandomSplit, Split
from finecal.errors import UserError
from finecal.images import read_format
from finecal.logits import group_names
from finecal.plan import Plan
from finecal.seeds import generator
from finecal.splits import class_numbers, split_size


def split(plan: Plan, dataset: str, name: str) -> None:
    """Write results/{dataset}/splits/{name}.parquet: class, name, group (fine_tuning or absent)."""
    spec = plan.options("split", dataset, name)
    images = paths.IMAGES.format(dataset=dataset, domain=plan.first_domain(dataset))
    classes = tuple(read_format(images)["classes"])
    table = pa.table(
        {
            "class": pa.array(range(len(classes)), pa.int32()),
            "name": pa.array(classes),
            "group": pa.array(group_names(_mask(spec, classes, dataset, f"splits.{name}"))),
        }
    )
    columns = {"dataset": dataset, "split": name}
    path = paths.SPLIT.format(dataset=dataset, split=name)
    write_table(path, with_columns(table, columns), provenance=provenance(options=spec, inputs=[images]))


def _mask(spec: dict[str, object], classes: tuple[str, ...], dataset: str, where: str) -> np.ndarray:
    mask = np.zeros(len(classes), dtype=bool)
    if spec["kind"] == "all":
        return ~mask
    use: RandomSplit | ClassesSplit | OfficialSplit = TypeAdapter(Split).validate_python(spec)
    size = split_size(use, classes, where)
    if isinstance(use, RandomSplit):
        mask[generator("split", dataset, use.seed).permutation(len(classes))[:size]] = True
    elif isinstance(use, ClassesSplit):
        mask[class_numbers(use.fine_tuning, classes, where)] = True
    else:
        raise UserError(f"the data set {dataset!r} has no official split", where=where)
    return mask
