"""The feature map: one plane for both stages, the same every time, and its stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from finecal import paths
from finecal.errors import UserError
from finecal.io.list_columns import list_array
from finecal.io.parquet import read_table, write_table
from finecal.metrics.feature_map import joint_map
from finecal.paths import RunKey
from finecal.stages import feature_map as stage


def clouds(n: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of n directions each in 8 dimensions, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), n)
    return 5 * np.eye(8)[labels] + 0.3 * random.standard_normal((3 * n, 8)), labels


def test_what_is_alike_lies_together_across_the_stages() -> None:
    features, labels = clouds()
    before, after = joint_map(features, clouds(seed=1)[0], seed=3)
    assert before.shape == after.shape == (60, 2)
    centres = np.stack([before[labels == label].mean(axis=0) for label in range(3)])
    for places in (before, after):  # one plane: the centres before tell the clouds after apart
        nearest = np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1)
        assert np.array_equal(nearest, labels)


def test_the_same_input_gives_the_same_map() -> None:
    features, _ = clouds()
    one, other = (joint_map(features, 2 * features, seed=3) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_lengths_do_not_matter() -> None:
    features, _ = clouds()
    lengths = 2.0 ** np.arange(-30, 30)[:, None]  # powers of two: scaling is exact
    one, other = joint_map(features, features, seed=3), joint_map(features, lengths * features, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "features", [np.zeros((4, 3)), np.ones((5, 1)), np.eye(2)], ids=["zeros", "one dimension", "two samples"]
)
def test_degenerate_features(features: np.ndarray) -> None:
    before, after = joint_map(features, features, seed=0)
    assert np.isfinite(before).all()
    assert np.isfinite(after).all()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunKey:
    """A run of which split and logits are there: 60 test samples, and as many training samples."""
    monkeypatch.chdir(tmp_path)
    run = RunKey("own", "a-b", "net", "full", "half", 0)
    split = {"class": pa.array(range(3), pa.int32()), "name": list("xyz"), "group": ["absent", "fine_tuning", "absent"]}
    write_table(run.path(paths.SPLIT), pa.table(split), provenance={})
    write_logits(run.path(paths.PRETRAINED_LOGITS), seed=0)
    write_logits(run.folder / paths.LOGITS, seed=1)
    return run


def write_logits(path: Path, *, seed: int, first: int = 0) -> None:
    features, labels = (np.concatenate(pair) for pair in zip(clouds(seed=seed), clouds(seed=seed + 10), strict=True))
    columns = {
        "sample": pa.array(np.arange(first, first + 120, dtype=np.int32)),
        "label": pa.array(labels.astype(np.int32)),
        "subset": ["test"] * 60 + ["train"] * 60,
        "logits": list_array(np.zeros((120, 3), np.float32)),
        "features": list_array(features.astype(np.float32)),
    }
    write_table(path, pa.table(columns), provenance={})


def test_table_of_a_run(run: RunKey) -> None:
    stage.feature_map(run)
    table = read_table(run.folder / paths.FEATURE_MAP).to_pandas()
    assert table["stage"].to_list() == ["before"] * 60 + ["after"] * 60
    for _, part in table.groupby("stage"):
        assert part["sample"].to_list() == list(range(60))  # test samples only
    assert set(zip(table["label"], table["name"], table["group"], strict=True)) == {
        (0, "x", "absent"),
        (1, "y", "fine_tuning"),
        (2, "z", "absent"),
    }
    first = (run.folder / paths.FEATURE_MAP).read_bytes()
    stage.feature_map(run)
    assert (run.folder / paths.FEATURE_MAP).read_bytes() == first


def test_of_many_samples_the_same_part_of_every_class(run: RunKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "AT_MOST", 15)
    stage.feature_map(run)
    table = read_table(run.folder / paths.FEATURE_MAP).to_pandas()
    before, after = (table[table["stage"] == name] for name in ("before", "after"))
    assert before["label"].value_counts().to_dict() == {0: 5, 1: 5, 2: 5}
    assert before["sample"].to_list() == after["sample"].to_list()


def test_other_samples_than_the_pretrained_model_saw(run: RunKey) -> None:
    write_logits(run.folder / paths.LOGITS, seed=1, first=1)
    with pytest.raises(UserError, match="its samples are not those of the pretrained model"):
        stage.feature_map(run)
