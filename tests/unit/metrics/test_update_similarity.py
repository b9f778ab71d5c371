"""Class-update similarity against hand calculation, and its stage."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from finecal import paths
from finecal.errors import UserError
from finecal.io.list_columns import list_array, matrix_column
from finecal.io.parquet import read_table, write_table
from finecal.metrics.update_similarity import mean_similarities, update_similarity
from finecal.paths import RunKey
from finecal.stages import update_similarity as stage

W0 = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 5.0], [1.0, 1.0], [7.0, 7.0]])
MOVED = np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 2.0], [-2.0, 0.0], [0.0, 0.0]])
R = math.sqrt(0.5)
COSINE = np.array([[1, R, 0, -1], [R, 1, R, -R], [0, R, 1, 0], [-1, -R, 0, 1]])
MASK = np.array([True, True, False, False, False])


def test_cosines_of_the_updates() -> None:
    found = update_similarity(W0 + MOVED, W0)
    assert found[:4, :4] == pytest.approx(COSINE)
    assert np.array_equal(found[:4, :4], found[:4, :4].T)


def test_a_class_that_did_not_move_has_no_direction() -> None:
    found = update_similarity(W0 + MOVED, W0)
    assert np.isnan(found[4]).all()
    assert np.isnan(found[:, 4]).all()


def test_small_updates_of_large_float32_weights() -> None:
    """Their difference is exact in float64; the lengths of the updates do not matter."""
    pretrained = np.full((3, 2), 1000.0, np.float32)
    tuned = pretrained + np.array([[2**-13, 0], [0, 2**-13], [-(2.0**-10), 0]], np.float32)
    assert update_similarity(tuned, pretrained) == pytest.approx(np.array([[1, 0, -1], [0, 1, 0], [-1, 0, 1]]))


def test_means_over_pairs_of_different_classes() -> None:
    found = mean_similarities(update_similarity(W0 + MOVED, W0), MASK)
    assert found["fine_tuning"] == (pytest.approx(R), 1)
    assert found["absent"] == (0, 1)  # the pairs with class 4 are left out
    assert found["between"] == (pytest.approx((0 - 1 + R - R) / 4), 4)


def test_no_pair_has_no_mean() -> None:
    mean, n = mean_similarities(np.ones((2, 2)), np.array([True, False]))["absent"]
    assert math.isnan(mean)
    assert n == 0


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunKey:
    """A run of which split and heads are there."""
    monkeypatch.chdir(tmp_path)
    run = RunKey("own", "a-b", "net", "full", "half", 0)
    names, groups = list("vwxyz"), ["fine_tuning"] * 2 + ["absent"] * 3
    split = {"class": pa.array(range(5), pa.int32()), "name": names, "group": groups}
    write_table(run.path(paths.SPLIT), pa.table(split), provenance={})
    for folder, weights in ((run.pretrained_folder, W0), (run.folder, W0 + MOVED)):
        head = pa.table({"weight": list_array(weights.astype(np.float32))})
        write_table(folder / paths.HEAD, head, provenance={})
    return run


def test_tables_of_a_run(run: RunKey) -> None:
    stage.update_similarity(run)
    path = run.folder / paths.UPDATE_SIMILARITY
    table = read_table(path)
    assert table["name"].to_pylist() == list("vwxyz")
    assert table["group"].to_pylist() == ["fine_tuning"] * 2 + ["absent"] * 3
    assert matrix_column(table, "cosine", path)[:4, :4] == pytest.approx(COSINE, abs=1e-7)
    means = read_table(run.folder / paths.UPDATE_SIMILARITY_MEANS).to_pylist()
    assert [(row["pairs"], row["n"], row["seed"]) for row in means] == [
        ("fine_tuning", 1, 0),
        ("absent", 1, 0),
        ("between", 4, 0),
    ]


def test_tables_of_unlike_data_sets_concatenate(run: RunKey) -> None:
    stage.update_similarity(run)
    table = read_table(run.folder / paths.UPDATE_SIMILARITY)
    one = pa.array([[0.5]], table.field("cosine").type)
    other = table.slice(0, 1).set_column(table.schema.get_field_index("cosine"), table.field("cosine"), one)
    joined = pa.concat_tables([table, other])
    assert [len(row) for row in joined["cosine"].to_pylist()] == [5, 5, 5, 5, 5, 1]


def test_heads_of_unlike_shape(run: RunKey) -> None:
    write_table(run.folder / paths.HEAD, pa.table({"weight": list_array(np.zeros((5, 3), np.float32))}), provenance={})
    with pytest.raises(UserError, match=r"the head's weights have shape \(5, 3\)") as error:
        stage.update_similarity(run)
    assert "(5, 2)" in error.value.why
