"""What people also save: batches, masks, statistics beside the classes; and what only looks like it."""

from __future__ import annotations

import io
import json
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from logits_cases import CLASSES, arrays, check_brought
from scipy.sparse import csr_array

from finecal.errors import UserError
from finecal.library.given import bring
from finecal.logits import hdf5

A = arrays(60)
same = partial(check_brought, expected=A)
COLUMNS = {f"score_{name}": A["logits"][:, k] for k, name in enumerate(CLASSES)}


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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


def test_tensors_of_every_layout_and_type() -> None:
    tensor = torch.from_numpy(A["logits"])
    for other in (tensor.to_sparse(), torch._neg_view(-tensor), tensor.clone().requires_grad_()):
        same(bring(other, labels=torch.from_numpy(A["label"])))
    eighth = bring(tensor.to(torch.float8_e4m3fn), labels=A["label"])
    np.testing.assert_allclose(eighth.logits, A["logits"], rtol=0.07, atol=0.01)
    torch.save({"logits": tensor.to_sparse(), "label": A["label"].tolist()}, "sparse.pt")
    same(bring(Path("sparse.pt")))
    with pytest.raises(UserError, match=r"logits is a tensor without values .*meta"):
        bring(torch.empty(60, 6, device="meta"), labels=A["label"])


class OnADevice:
    """What has its values by the protocol DLPack alone, here or on a device that NumPy cannot read."""

    def __init__(self, values: np.ndarray, *, here: bool = True) -> None:
        self.values, self.here = values, here

    def __dlpack__(self, **options: Any) -> Any:
        if not self.here:
            raise BufferError("on a GPU")
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


def test_arrays_of_any_library() -> None:
    same(bring(OnADevice(A["logits"]), labels=OnADevice(A["label"])))
    same(bring(A["logits"].astype(object), labels=A["label"].astype(object)))
    records = np.rec.fromarrays([*A["logits"].T, A["label"]], names=[*(f"logit_{k}" for k in range(6)), "label"])
    same(bring(records))
    frame = pd.DataFrame({"logits": list(torch.from_numpy(A["logits"])), "label": A["label"]})
    same(bring(frame))
    levels = pd.concat({"logit": pd.DataFrame(A["logits"])}, axis=1)
    same(bring(levels, labels=A["label"]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"logits": OnADevice(A["logits"], here=False)}, r"logits cannot be read as an array \(on a GPU\).*NumPy"),
        ({"logits": None}, "the logits are missing"),
        ({"labels": {1, 2}}, "label is a set, which has no order"),
        ({"labels": 3}, "is one value. One for each row"),
        ({"labels": [None, *A["label"][1:].tolist()]}, "label has 1 empty value"),
        ({"logits": pd.concat([pd.DataFrame(COLUMNS)] * 2, axis=1)}, "the column 'score_ash' is there more than once"),
    ],
)
def test_what_is_no_array_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        bring(**{"logits": A["logits"], "labels": A["label"], **given})


def table() -> pa.Table:
    return pa.table({"logits": A["logits"].tolist(), "label": A["label"]})


def test_folders_of_files() -> None:
    """As Spark, pyarrow and Hugging Face's datasets write them; `train` and `test` beside each other are subsets."""
    whole, subset = table(), pa.array(["train"] * 30 + ["test"] * 30)
    Path("parts/_temporary").mkdir(parents=True)
    pq.write_table(whole.slice(0, 25), "parts/part-0.parquet")
    pq.write_table(whole.slice(25), "parts/part-1.parquet")
    Path("parts/_temporary/part-2.parquet").write_bytes(b"not whole")
    same(bring(Path("parts")))
    pq.write_to_dataset(whole.append_column("subset", subset), "by_subset", partition_cols=["subset"])
    found = bring(Path("by_subset"))
    assert {str(word) for word in found.subset} == {"train", "test"}
    assert found.logits.shape == (60, 6)
    for name, rows in (("train", whole.slice(0, 30)), ("test", whole.slice(30))):
        Path("hub", name).mkdir(parents=True)
        with pa.ipc.new_stream(f"hub/{name}/data-00000-of-00001.arrow", rows.schema) as stream:
            stream.write_table(rows)
        Path("hub", name, "cache-1.arrow").write_bytes(b"made of it")
    assert bring(Path("hub")).subset.tolist() == ["test"] * 30 + ["train"] * 30
    words = pa.array(np.array(CLASSES)[A["label"]])
    Path("words").mkdir()
    for k, rows in enumerate((slice(0, 20), slice(20, 60))):
        part = pa.table({"logits": whole["logits"][rows.start : rows.stop], "label": words[rows.start : rows.stop]})
        pq.write_table(part, f"words/{k}.parquet")
    same(bring(Path("words")))


def test_folders_that_say_too_little() -> None:
    Path("empty").mkdir()
    Path("empty/notes.txt").write_text("nothing")
    with pytest.raises(UserError, match=r"no Parquet or Arrow files\. It has notes\.txt"):
        bring(Path("empty"))
    for name in ("one", "two"):
        Path("several", name).mkdir(parents=True)
        pq.write_table(table(), f"several/{name}/a.parquet")
    with pytest.raises(UserError, match=r"several folders \(one, two\)"):
        bring(Path("several"))
    Path("differ").mkdir()
    pq.write_table(table(), "differ/a.parquet")
    pq.write_table(table().drop_columns(["label"]), "differ/b.parquet")
    with pytest.raises(UserError, match="label: not in all files"):
        bring(Path("differ"))


def test_lines_of_json_and_compressed_text() -> None:
    frame = pd.DataFrame({"logits": A["logits"].tolist(), "label": A["label"]})
    frame.to_json("a.jsonl", orient="records", lines=True, double_precision=12)
    frame.to_json("a.ndjson.gz", orient="records", lines=True, double_precision=12)
    wide = pd.DataFrame({**COLUMNS, "label": np.array(CLASSES)[A["label"]]})
    wide.to_csv("a.csv.bz2", index=False)
    for name in ("a.jsonl", "a.ndjson.gz", "a.csv.bz2"):
        same(bring(Path(name)))
    wide.to_csv("wide.csv", index=False, encoding="utf-16")
    with pytest.raises(UserError, match="it is text in UTF-16"):
        bring(Path("wide.csv"))


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.pkl", "A pickle runs code"), ("a.mat", "scipy.io.loadmat"), ("a.csv.zip", "Unpack"), ("a.json", "JSON lines")],
)
def test_what_to_do_with_other_files(name: str, words: str) -> None:
    Path(name).write_bytes(b"x")
    with pytest.raises(UserError, match=words):
        bring(Path(name))


def test_what_a_column_or_a_file_holds_instead_is_said() -> None:
    rows = [{f"c{k}": float(value) for k, value in enumerate(row)} for row in A["logits"]]
    pq.write_table(pa.table({"logits": pa.array(rows), "label": A["label"]}), "struct.parquet")
    with pytest.raises(UserError, match="the column 'logits' is a struct of c0, c1"):
        bring(Path("struct.parquet"))
    torch.save({"state_dict": {"weight": torch.zeros(2)}, "epoch": 3}, "model.pt")
    with pytest.raises(UserError, match=r"no tensors by name: state_dict \(dict\), epoch \(int\)"):
        bring(Path("model.pt"))
