"""Every file that people have gives the same arrays; of what is damaged or dangerous nothing is read."""

from __future__ import annotations

import decimal
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from logits_cases import CLASSES, arrays

from finecal.errors import UserError
from finecal.library.given import bring
from finecal.logits import files

A = arrays(60)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(kind: pa.DataType | None = None, values: Any = None) -> pa.Array:
    return pa.array((A["logits"] if values is None else values).tolist(), kind)


def tensor_column() -> pa.Array:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(A["logits"])


def decimals() -> pa.Array:
    exact = [[decimal.Decimal(f"{value:.6f}") for value in row] for row in A["logits"].tolist()]
    return pa.array(exact, pa.list_(pa.decimal128(12, 6)))


COLUMNS = {
    "lists": lambda: rows(pa.list_(pa.float32())),
    "large lists": lambda: rows(pa.large_list(pa.float64())),
    "fixed-size lists": lambda: rows(pa.list_(pa.float32(), 6)),
    "tensors": tensor_column,
    "decimals": decimals,
    "halves": lambda: pa.array([row.astype(np.float16) for row in A["logits"]], pa.list_(pa.float16())),
}
VIEWS = {
    "views": lambda: rows(pa.list_view(pa.float32())),
    "large views": lambda: rows(pa.large_list_view(pa.float32())),
}


def check(found: Any, tolerance: float = 2e-6) -> None:
    np.testing.assert_array_equal(found.labels, A["label"])
    np.testing.assert_allclose(found.logits, A["logits"], atol=tolerance)


@pytest.mark.parametrize("form", COLUMNS)
@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_every_form_of_a_column_of_lists(form: str, suffix: str) -> None:
    table = pa.table({"label": A["label"], "logits": COLUMNS[form]()})
    if suffix == "parquet":
        pq.write_table(table, "x.parquet", row_group_size=13)
    else:
        pa.feather.write_feather(table, "x.feather")
    check(bring(Path(f"x.{suffix}")), 4e-3 if form == "halves" else 2e-6)


@pytest.mark.parametrize("form", VIEWS)
def test_views_of_lists(form: str) -> None:
    table = pa.table({"label": A["label"], "logits": VIEWS[form]()})
    with pa.OSFile("x.arrow", "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    check(bring(Path("x.arrow")))
    check(bring(table))


def test_a_stream_of_arrow() -> None:
    table = pa.table({"label": A["label"], "logits": rows()})
    with pa.OSFile("x.arrow", "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    check(bring(Path("x.arrow")))


def test_files_of_arrays() -> None:
    half = torch.from_numpy(A["logits"]).bfloat16()
    np.savez("x.npz", labels=A["label"].reshape(-1, 1), logits=A["logits"])
    torch.save({"targets": torch.from_numpy(A["label"]), "logits": half}, "x.pt")
    safetensors.torch.save_file({"y": torch.from_numpy(A["label"]), "logits": half}, "x.safetensors")
    np.save("x.npy", A["logits"])
    np.save("y.npy", A["label"])
    torch.save(half, "z.pt")
    check(bring(Path("x.npz")))
    for name in ("x.pt", "x.safetensors"):
        check(bring(Path(name)), 0.05)
        np.testing.assert_array_equal(bring(Path(name)).logits, half.float().numpy())
    check(bring(Path("x.npy"), labels=Path("y.npy")))
    check(bring(Path("z.pt"), labels=A["label"]), 0.05)


def test_hdf5() -> None:
    import h5py

    with h5py.File("x.h5", "w") as file:
        file["run/logits"], file["run/label"] = A["logits"], A["label"]
    check(bring(Path("x.h5")))


def test_hdf5_without_h5py_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    Path("x.h5").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(UserError, match="HDF5 needs h5py, which is not installed"):
        bring(Path("x.h5"))


@pytest.mark.parametrize(("separator", "mark"), [(",", ""), (";", "\ufeff"), ("\t", "")])
def test_csv_with_a_column_per_class(separator: str, mark: str) -> None:
    frame = pd.DataFrame(A["logits"], columns=[f"logit_{k}" for k in range(6)])[
        [f"logit_{k}" for k in (3, 1, 0, 5, 4, 2)]
    ]
    frame.insert(0, "target", A["label"])
    Path("x.csv").write_text(mark + frame.to_csv(index=False, sep=separator), "utf-8")
    check(bring(Path("x.csv")))


def test_columns_named_by_classes() -> None:
    frame = pd.DataFrame(A["logits"], columns=list(CLASSES)).assign(species=0, y=[CLASSES[k] for k in A["label"]])
    found = bring(frame, classes=CLASSES)
    check(found)
    assert found.classes == CLASSES
    found = bring(frame.drop(columns="species"))  # the labels are the names of the columns
    check(found)
    assert found.classes == CLASSES
    with pytest.raises(UserError, match="names of columns, but not of species"):
        bring(frame)
    prefixed = pd.DataFrame(A["logits"], columns=[f"score_{name}" for name in CLASSES]).assign(label=A["label"])
    assert bring(prefixed).classes == CLASSES


def test_lists_written_as_text() -> None:
    for name, rows_as_text in (("lists", map(str, A["logits"].tolist())), ("arrays", map(str, A["logits"]))):
        pd.DataFrame({"label": A["label"], "logits": list(rows_as_text)}).to_csv(f"{name}.csv", index=False)
        check(bring(Path(f"{name}.csv")), 1e-6)
    pd.DataFrame({"label": [0], "logits": ["[1.0 ... 2.0]"]}).to_csv("x.csv", index=False)
    with pytest.raises(UserError, match=r"lists with '\.\.\.'"):
        bring(Path("x.csv"))


def test_columns_with_a_gap_are_named() -> None:
    frame = pd.DataFrame(A["logits"][:, :3], columns=["logit_0", "logit_1", "logit_3"]).assign(label=0)
    with pytest.raises(UserError, match="the columns of logits have no number 2"):
        bring(frame)


def test_an_unknown_name_lists_the_columns_of_the_file() -> None:
    np.savez("x.npz", mine=A["logits"], label=A["label"])
    with pytest.raises(UserError, match=r"x\.npz: the column 'logits' is missing\. It has mine, label\. Names"):
        bring(Path("x.npz"))
    np.savez("x.npz", preds=A["logits"].argmax(1), label=A["label"])
    with pytest.raises(UserError, match="the column 'preds' is one number per row"):
        bring(Path("x.npz"))


def test_other_columns_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"label": A["label"], "logits": rows(), "image": [b"x" * 1000] * 60})
    pq.write_table(table, "x.parquet")
    asked = []
    own = pq.ParquetFile.iter_batches
    whole = pq.ParquetFile.read
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda s, **k: asked.append(k["columns"]) or own(s, **k))
    monkeypatch.setattr(pq.ParquetFile, "read", lambda s, **k: asked.append(k["columns"]) or whole(s, **k))
    check(bring(Path("x.parquet")))
    assert sorted(name for names in asked for name in names) == ["label", "logits"]


def test_a_column_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real bound a column of more than 2³¹ values never is one array of Arrow."""
    monkeypatch.setattr(files, "VALUES", 40)
    pq.write_table(pa.table({"label": A["label"], "logits": rows()}), "x.parquet")
    sizes = []
    own = files.ParquetFile._parts
    monkeypatch.setattr(
        files.ParquetFile, "_parts", lambda s, f, n: (sizes.append(len(part)) or part for part in own(s, f, n))
    )
    check(bring(Path("x.parquet")))
    assert max(sizes) <= 40 // 6
    assert sum(sizes) == 60


class Dangerous:
    def __reduce__(self) -> Any:
        return (Path("was_run").touch, ())


def test_arrays_of_objects_only_with_text() -> None:
    np.savez("x.npz", logits=A["logits"], label=np.array([CLASSES[k] for k in A["label"]], dtype=object))
    check(bring(Path("x.npz")))
    for value, message in ((Dangerous(), "Only arrays of numbers or text are read"), (3, "not all text")):
        np.savez("x.npz", logits=A["logits"], label=np.array([value] * 60, dtype=object))
        with pytest.raises(UserError, match=message):
            bring(Path("x.npz"))
    torch.save({"logits": Dangerous()}, "x.pt")
    with pytest.raises(UserError, match="it holds other objects than tensors"):
        bring(Path("x.pt"))
    assert not Path("was_run").exists()


@pytest.mark.parametrize("suffix", ["parquet", "feather", "arrow", "csv", "npz", "npy", "pt", "safetensors"])
def test_a_damaged_file_is_named(suffix: str) -> None:
    Path(f"x.{suffix}").write_bytes(b"\x93NUM\0\1PK\3\4damaged" + bytes(range(256)))
    with pytest.raises(UserError, match=rf"x\.{suffix}: "):
        bring(Path(f"x.{suffix}"))


def test_a_damaged_part_of_an_npz_is_named() -> None:
    np.savez("x.npz", logits=A["logits"], label=A["label"])
    content = bytearray(Path("x.npz").read_bytes())
    content[300:700] = bytes(400)
    Path("x.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.npz: "):
        bring(Path("x.npz"))


def test_pickle_is_a_format_that_is_not_read() -> None:
    Path("x.pkl").write_bytes(pickle.dumps(A))
    with pytest.raises(UserError, match=r"files that end with \.pkl are not read"):
        bring(Path("x.pkl"))


def test_arrow_is_checked_before_it_is_used() -> None:
    """A text that is not UTF-8, as Arrow itself never writes it."""
    offsets, text = pa.py_buffer(np.array([0, 2, 3], np.int32)), pa.py_buffer(b"ab\xff")
    table = pa.table({"id": pa.Array.from_buffers(pa.string(), 2, [None, offsets, text]), "label": [0, 1]})
    with pytest.raises(UserError, match="not readable as a column of Arrow"):
        files.Table("x.arrow", table).values("id")
