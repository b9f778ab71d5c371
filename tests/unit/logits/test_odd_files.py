"""What people also save: batches, masks, statistics beside the classes; and what only looks like it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from logits_cases import CLASSES, arrays
from scipy.sparse import csr_array

from finecal.errors import UserError
from finecal.library.given import bring
from finecal.logits import hdf5

A = arrays(60)
COLUMNS = {f"score_{name}": A["logits"][:, k] for k, name in enumerate(CLASSES)}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def same(found: Any) -> None:
    np.testing.assert_allclose(found.logits, A["logits"], rtol=1e-6)
    np.testing.assert_array_equal(found.labels, A["label"])


def batches(values: np.ndarray) -> list[torch.Tensor]:
    return list(torch.split(torch.from_numpy(values), 16))  # the last one is smaller


def test_what_a_loop_over_a_loader_collects() -> None:
    same(bring(batches(A["logits"]), labels=batches(A["label"])))
    same(bring(batches(A["logits"]), labels=A["label"]))
    torch.save({"logits": batches(A["logits"]), "label": batches(A["label"])}, "batches.pt")
    same(bring(Path("batches.pt")))


def test_other_objects_in_memory() -> None:
    same(bring(csr_array(A["logits"]), labels=(label for label in A["label"])))
    same(bring(np.ma.masked_array(A["logits"], mask=False), labels=A["label"]))
    table = pd.DataFrame({**COLUMNS, "label": A["label"]})
    same(bring(SimpleNamespace(collect=lambda: table, collect_schema=None)))  # polars' LazyFrame


def test_a_masked_array_has_no_scores_where_it_is_masked() -> None:
    masked = np.ma.masked_array(A["logits"], mask=np.broadcast_to(np.arange(6) > 3, A["logits"].shape))
    assert bring(masked, labels=A["label"]).masked == (4, 5)
    labels = np.ma.masked_array(A["label"], mask=A["label"] == 2)
    with pytest.raises(UserError, match=r"label.* has 10 masked values"):
        bring(A["logits"], labels=labels)


def test_statistics_beside_the_classes_are_no_classes() -> None:
    table = pd.DataFrame({**COLUMNS, "score_max": A["logits"].max(axis=1), "label": A["label"]})
    found = bring(table)
    same(found)
    assert "The column 'score_max' is not taken as a class, by its name." in found.notes
    named = table.assign(label=[(*CLASSES, "max")[label] for label in A["label"]])
    same(bring(named))
    assert bring(named.assign(label=["max"] * 60), classes=[*CLASSES, "max"]).logits.shape == (60, 7)


def test_shapes_that_are_matrices_all_the_same() -> None:
    np.savez("one.npz", A["logits"])
    same(bring(Path("one.npz"), labels=A["label"]))
    np.save("deep.npy", A["logits"][:, :, None])
    same(bring(Path("deep.npy"), labels=A["label"]))
    np.save("records.npy", np.rec.fromarrays([*COLUMNS.values(), A["label"]], names=[*COLUMNS, "label"]))
    same(bring(Path("records.npy")))


def test_csv_as_it_is_written_elsewhere() -> None:
    table = pd.DataFrame({**COLUMNS, "label": A["label"]})
    table.to_csv("comma.csv", sep=";", decimal=",", index=False)
    same(bring(Path("comma.csv")))
    texts = [f"tensor({row.tolist()}, dtype=torch.float16)" for row in A["logits"]]
    pd.DataFrame({"logits": texts, "label": A["label"]}).to_csv("tensors.csv", index=False)
    same(bring(Path("tensors.csv")))
    pd.DataFrame(A["logits"]).to_csv("bare.csv", index=False, header=False)
    with pytest.raises(UserError, match=r"bare\.csv: the first line has numbers"):
        bring(Path("bare.csv"), labels=A["label"])


class Huge:
    """A pickled array that asks for 10¹² bytes before anything of it is read."""

    def __reduce__(self) -> Any:
        return np._core.multiarray._reconstruct, (np.ndarray, (10**12,), b"b")


def test_what_a_hostile_file_asks_for_is_not_made() -> None:
    np.savez("huge.npz", logits=A["logits"], label=np.array([Huge()] * 60, dtype=object))
    with pytest.raises(UserError, match=r"huge\.npz: label: "):
        bring(Path("huge.npz"))


def test_a_damaged_header_is_named() -> None:
    whole = io.BytesIO()
    np.save(whole, A["logits"])
    broken = bytearray(whole.getvalue())
    broken[60:64] = b"(((\xc9"
    with zipfile.ZipFile("header.npz", "w") as archive:
        archive.writestr("logits.npy", bytes(broken))
    with pytest.raises(UserError, match=r"header\.npz: not readable as \.npz"):
        bring(Path("header.npz"), labels=A["label"])


def test_two_groups_of_an_hdf5_file_are_not_mixed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its process lists is played."""
    listed = [("test/logits", (60, 6), "<f4"), ("train/logits", (60, 6), "<f4")]
    monkeypatch.setattr(hdf5, "_run", lambda answer, *_: (answer.write(json.dumps(listed).encode()), answer.seek(0)))
    with pytest.raises(UserError, match="'train/logits' is not the only dataset that is called logits"):
        hdf5.datasets(Path("groups.h5"))
