"""Clustered splits: which classes are similar, and that nothing of the target decides it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from finecal import paths
from finecal.calibration.inputs import read_split
from finecal.errors import UserError
from finecal.io.list_columns import list_array
from finecal.io.parquet import write_table
from finecal.metrics.class_clustering import order_by_similarity
from finecal.plan.plan import Plan
from finecal.stages.prepare import prepare
from finecal.stages.split import split


def at_angles(*degrees: float) -> np.ndarray:
    """Unit vectors in the plane; cosine distance grows with the angle between two."""
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_the_own_cluster_comes_first() -> None:
    """Clusters {0, 2, 4} around 5° and {1, 3} around 95°: by hand."""
    means = at_angles(0, 90, 3, 100, 12)
    assert order_by_similarity(means, 0) == [0, 2, 4, 1, 3]
    assert order_by_similarity(means, 4) == [4, 2, 0, 1, 3]  # 0 and 2 join 4 at once: 2 is nearer
    assert order_by_similarity(means, 1) == [1, 3, 4, 2, 0]
    assert order_by_similarity(5 * means, 3) == [3, 1, 4, 2, 0]  # lengths do not matter


def test_a_class_may_be_nearer_outside_its_cluster() -> None:
    """20 and 31 join first (11°); 0 is nearer to 20 than 45 is to 20, but 45 joins {20, 31} on average before."""
    means = at_angles(0, 20, 31, 45)
    assert order_by_similarity(means, 1) == [1, 2, 3, 0]


def test_two_classes_and_a_class_without_samples() -> None:
    assert order_by_similarity(at_angles(0, 50), 1) == [1, 0]
    means = at_angles(0, 20, 30)
    means[1] = np.nan
    with pytest.raises(UserError, match="class number 1 has no sample"):
        order_by_similarity(means, 0)


STUDY = {
    "extends": "digits",
    "datasets": {"digits": {"options": {"per_class": 10}}},
    "splits": {kind: {"kind": kind, "sizes": [1, 4, 7], "seeds": [0, 1]} for kind in ("random", "clustered")},
    "calibrators": ["none"],
}


def test_the_files_of_splits_of_many_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(yaml.safe_dump(STUDY))
    plan = Plan(["mine.yaml"])
    options = plan.options("split", "digits", "clustered_4_seed1")
    assert (options["source"], options["backbone"]) == ("printed", "test_resnet")
    prepare(plan, "digits", "printed")
    means = at_angles(*np.arange(0, 100, 10))
    file = f"{paths.PRETRAINED}/{paths.CLASS_MEANS}".format(dataset="digits", source="printed", backbone="test_resnet")
    write_table(file, pa.table({"mean": list_array(means.astype(np.float32))}), provenance={})
    chosen = {}
    for name in plan.studies["mine.yaml"].splits:
        split(plan, "digits", name)
        chosen[name] = set(np.flatnonzero(read_split(paths.SPLIT.format(dataset="digits", split=name))[0]))
    for seed in (0, 1):
        assert chosen[f"random_1_seed{seed}"] == chosen[f"clustered_1_seed{seed}"]
        for kind in ("random", "clustered"):
            sizes = [chosen[f"{kind}_{size}_seed{seed}"] for size in (1, 4, 7)]
            assert [len(found) for found in sizes] == [1, 4, 7]
            assert sizes[0] < sizes[1] < sizes[2]
        assert np.ptp(sorted(chosen[f"clustered_4_seed{seed}"])) == 3  # neighbours on the circle
    record = pq.read_schema(paths.SPLIT.format(dataset="digits", split="clustered_4_seed0")).metadata
    assert file.encode() in record[b"finecal"]
