"""Features of the target's test samples before and after fine-tuning as one map: feature_map.parquet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from finecal import paths, schemas
from finecal.calibration.inputs import group_names, read_predictions, read_split
from finecal.data.divisions import draw_of_each
from finecal.errors import UserError
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance
from finecal.metrics.feature_map import joint_map
from finecal.paths import RunKey
from finecal.plan.code_digests import Identity
from finecal.seeds import generator, seed_of

AT_MOST = 1000  # samples, each shown twice: more neither fit into a panel nor change the picture


def feature_map(run: RunKey) -> None:
    """Write feature_map.parquet of a run: where each of its test samples lies before and after.

    Of more than `AT_MOST` test samples about that many are drawn at random, the same fraction of every class.
    """
    split_path, before_path, after_path = (
        run.path(paths.SPLIT), run.path(paths.PRETRAINED_LOGITS), run.folder / paths.LOGITS
    )  # fmt: skip
    fine_tuning, names = read_split(split_path)
    before, after = (
        read_predictions(path, num_classes=len(names), features=True) for path in (before_path, after_path)
    )
    if not np.array_equal(before.samples, after.samples) or not np.array_equal(before.test, after.test):
        raise UserError("its samples are not those of the pretrained model", where=str(after_path))
    assert before.features is not None
    assert after.features is not None
    chosen = np.flatnonzero(after.test)
    if len(chosen) > AT_MOST:
        random = generator(*run.columns().values(), "feature_map", "samples")
        chosen = chosen[draw_of_each(after.labels[chosen], AT_MOST / len(chosen), random)]
    seed = seed_of(*run.columns().values(), "feature_map") % 2**32
    places = joint_map(before.features[chosen], after.features[chosen], seed=seed)
    labels = after.labels[chosen]
    table = pa.concat_tables(
        pa.table(
            {
                "stage": pa.repeat(pa.scalar(stage, pa.string()), len(chosen)),
                "sample": pa.array(after.samples[chosen]),
                "label": pa.array(labels),
                "name": pa.array([names[label] for label in labels], pa.string()),
                "group": pa.array(group_names(fine_tuning[labels]), pa.string()),
                "x": pa.array(np.ascontiguousarray(place[:, 0])),
                "y": pa.array(np.ascontiguousarray(place[:, 1])),
            }
        )
        for stage, place in zip(("before", "after"), places, strict=True)
    )
    record = provenance(Identity.of("feature_map", {}).record(), inputs=[split_path, before_path, after_path])
    table = with_columns(table, run.columns())
    write_table(run.folder / paths.FEATURE_MAP, table, schemas.FEATURE_MAP, provenance=record)
