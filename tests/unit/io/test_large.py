"""A large array in a file is the same array, and what is taken of it the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finecal.errors import UserError
from finecal.io import large

X = np.arange(600, dtype=np.float32).reshape(100, 6)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE", 100)


@pytest.mark.usefixtures("files")
def test_an_array_in_a_file_is_an_array() -> None:
    found = large.empty(X.shape, X.dtype)
    assert type(found) is np.ndarray
    assert isinstance(found.base, np.memmap)
    found[:] = X
    np.testing.assert_array_equal(found, X)
    assert isinstance(large.empty((4, 6), np.float32).base, type(None))  # a small one


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("rows", [np.arange(100) % 3 == 0, np.arange(99, -1, -1), np.arange(100) > 40, np.arange(9)])
def test_rows_of_it(rows: np.ndarray) -> None:
    found = large.take(X, rows)
    np.testing.assert_array_equal(found, X[rows])
    run = rows.dtype == bool and bool((np.diff(np.flatnonzero(rows)) == 1).all())
    assert np.shares_memory(found, X) == (run or len(rows) == 9)


def test_parts_cover_all_rows() -> None:
    assert np.concatenate([X[part] for part in large.parts(X, 240)]).tolist() == X.tolist()
    assert [part.stop - part.start for part in large.parts(X, 240)] == [10] * 10
    assert list(large.parts(X[:0])) == []


def test_rows_are_drawn_evenly() -> None:
    mask = np.arange(100) % 2 == 1
    assert large.drawn(mask, 50) is mask
    assert large.drawn(mask, 3).tolist() == [1, 49, 99]


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(large, "LARGE", 100)
    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(UserError, match=r"no room for 0\.0 GiB of temporary data \(No space left on device\)"):
        large.empty((100, 6), np.float32)
