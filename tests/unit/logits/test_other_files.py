"""Files and objects as other libraries leave them: read, or refused with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from logits_cases import arrays

from finecal.library.given import bring

A = arrays(60)
TABLE = pa.table({"logits": A["logits"].tolist(), "label": A["label"], "subset": A["subset"]})


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def same(found: Any) -> None:
    np.testing.assert_allclose(found.logits, A["logits"], rtol=1e-6)
    np.testing.assert_array_equal(found.labels, A["label"])
    np.testing.assert_array_equal(found.subset, A["subset"])


def test_names_of_files_say_the_subset() -> None:
    Path("hub").mkdir()
    bare = TABLE.drop(["subset"])
    for word, name in (("train", "train-00000-of-00001"), ("test", "test-00000-of-00001")):
        pq.write_table(bare.filter(pa.compute.equal(TABLE["subset"], word)), f"hub/{name}.parquet")
    found = bring(Path("hub"))
    assert found.subset.tolist() == ["test"] * 30 + ["train"] * 30
    Path("hub/train-00000-of-00001.parquet").rename("hub/part-0.parquet")
    assert bring(Path("hub")).subset is None
