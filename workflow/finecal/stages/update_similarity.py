"""How alike the head's updates of two classes are: update_similarity.parquet and its means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from finecal import paths, schemas
from finecal.calibration.inputs import group_names, read_split
from finecal.errors import UserError, counted
from finecal.io.declared import from_rows
from finecal.io.list_columns import matrix_column
from finecal.io.parquet import read_table, with_columns, write_table
from finecal.io.provenance import provenance
from finecal.metrics import update_similarity as metric
from finecal.paths import RunKey
from finecal.plan.code_digests import Identity


def update_similarity(run: RunKey) -> None:
    """Write update_similarity.parquet, a row per class, and update_similarity_means.parquet, three rows, of a run."""
    split_path = run.path(paths.SPLIT)
    pretrained_path, tuned_path = run.pretrained_folder / paths.HEAD, run.folder / paths.HEAD
    fine_tuning, names = read_split(split_path)
    pretrained, tuned = read_weights(pretrained_path), read_weights(tuned_path)
    if pretrained.shape != tuned.shape or len(tuned) != len(fine_tuning):
        raise UserError(
            f"the head's weights have shape {tuned.shape}", where=str(tuned_path),
            why=f"Those of {pretrained_path} have {pretrained.shape}, "
            f"and the split has {counted(len(fine_tuning), 'class')}",
        )  # fmt: skip
    cosine = metric.update_similarity(tuned, pretrained)
    classes = pa.table(
        {
            "class": pa.array(range(len(names)), pa.int32()),
            "name": pa.array(names, pa.string()),
            "group": pa.array(group_names(fine_tuning), pa.string()),
            "cosine": pa.array(list(cosine.astype(np.float32)), schemas.UPDATE_SIMILARITY.field("cosine").type),
        }
    )
    rows = [
        {"pairs": k, "cosine": mean, "n": n} for k, (mean, n) in metric.mean_similarities(cosine, fine_tuning).items()
    ]
    means = from_rows(rows, schemas.own_columns(schemas.UPDATE_SIMILARITY_MEANS))
    record = provenance(Identity.of("update_similarity", {}).record(), inputs=[split_path, pretrained_path, tuned_path])
    for name, table, schema in (
        (paths.UPDATE_SIMILARITY, classes, schemas.UPDATE_SIMILARITY),
        (paths.UPDATE_SIMILARITY_MEANS, means, schemas.UPDATE_SIMILARITY_MEANS),
    ):
        write_table(run.folder / name, with_columns(table, run.columns()), schema, provenance=record)


def read_weights(path: Path) -> np.ndarray:
    """The (C, D) weights of a head.parquet."""
    return matrix_column(read_table(path, schemas.select(schemas.HEAD, "weight")), "weight", path)
