"""Files and objects as other libraries leave them: read, or refused with what to do."""

from __future__ import annotations

import io
from collections.abc import Generator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import torch
from logits_cases import arrays, check_brought

from finecal.errors import UserError
from finecal.library.given import bring
from finecal.logits.brought import same_samples

A = arrays(60)
TABLE = pa.table({"logits": A["logits"].tolist(), "label": A["label"], "subset": A["subset"]})
same = partial(check_brought, expected=A, subset=True)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_names_of_files_say_the_subset() -> None:
    Path("hub").mkdir()
    bare = TABLE.drop(["subset"])
    for word, name in (("train", "train-00000-of-00001"), ("test", "test-00000-of-00001")):
        pq.write_table(bare.filter(pa.compute.equal(TABLE["subset"], word)), f"hub/{name}.parquet")
    found = bring(Path("hub"))
    assert found.subset.tolist() == ["test"] * 30 + ["train"] * 30
    Path("hub/train-00000-of-00001.parquet").rename("hub/part-0.parquet")
    assert bring(Path("hub")).subset is None


BATCHES = [slice(0, 25), slice(25, 50), slice(50, 60)]
T, Y = torch.from_numpy(A["logits"]), torch.from_numpy(A["label"])
HALVES = {word: {"logits": T[A["subset"] == word], "labels": Y[A["subset"] == word]} for word in ("train", "test")}
PAIRS = [(T[rows], Y[rows]) for rows in BATCHES]


@pytest.mark.parametrize("saved", [
    (T, Y), (Y, T), PAIRS, [{"logits": T[rows], "y": Y[rows]} for rows in BATCHES], {"val": {"logits": T, "label": Y}},
    [{"logits": row, "label": int(label)} for row, label in zip(T, Y, strict=True)],
])  # fmt: skip
def test_what_loops_save_and_hand_over(saved: Any) -> None:
    torch.save(saved, "x.pt")
    for given in (Path("x.pt"), saved):
        same(bring(given, subset=A["subset"]))


@pytest.mark.parametrize("saved", [[T[rows] for rows in BATCHES], list(T), [T[:30], T[30:]]])
def test_logits_alone_in_parts(saved: Any) -> None:
    torch.save(saved, "x.pt")
    for given in (Path("x.pt"), saved):
        same(bring(given, labels=A["label"], subset=A["subset"]))


def test_parts_by_subset() -> None:
    torch.save(HALVES, "x.pt")
    for given in (Path("x.pt"), HALVES):
        found = bring(given)
        assert found.subset.tolist() == ["train"] * 30 + ["test"] * 30
        np.testing.assert_allclose(found.logits[30:], A["logits"][A["subset"] == "test"])


def test_objects_of_other_libraries() -> None:
    np.savez("x.npz", **A)
    pq.write_table(TABLE, "x.parquet")
    numbered = {"logits": A["logits"], "epoch": 3, "run": "a", "label": pd.Series(A["label"]).astype("category")}
    for given in (
        np.load("x.npz"), TABLE.to_batches()[0], TABLE.to_reader(), pa.dataset.dataset("x.parquet"), numbered,
        SimpleNamespace(predictions=A["logits"], label_ids=A["label"], metrics={}),
        torch.utils.data.TensorDataset(T, Y), (A["logits"][rows] for rows in BATCHES),
    ):  # fmt: skip
        labels = (A["label"][rows].tolist() for rows in BATCHES) if isinstance(given, Generator) else None
        same(bring(given, labels=labels, subset=A["subset"]))


def test_labels_of_objects_and_runs_of_values() -> None:
    np.save("y.npy", np.array([f"c{k}" for k in A["label"]], dtype=object), allow_pickle=True)
    same(bring(A["logits"], labels=Path("y.npy"), subset=A["subset"]))
    runs = pa.compute.run_end_encode(pa.array(A["label"]))
    same(bring(A["logits"], labels=runs, subset=pa.compute.run_end_encode(pa.array(A["subset"]))))
    same(bring(A["logits"], labels=A["label"], subset=A["subset"].astype(np.dtypes.StringDType())))


@pytest.mark.parametrize("nested", [[[row] for row in T.tolist()], [[[one] for one in row] for row in T.tolist()]])
def test_lists_in_lists_of_one(nested: Any) -> None:
    pq.write_table(TABLE.set_column(0, "logits", pa.array(nested)), "x.parquet")
    same(bring(Path("x.parquet")))


def test_a_matrix_in_each_row_is_refused() -> None:
    nested = pa.array([[row[:3], row[3:]] for row in T.tolist()])
    with pytest.raises(UserError, match="has a matrix in each row"):
        bring(TABLE.set_column(0, "logits", nested))


@pytest.mark.parametrize(("name", "said"), [
    ("x.csv", "its content is Parquet, its name ends with .csv. Hint: Rename it to x.parquet"),
    ("x", "its name ends with nothing"), ("x.npy", "its content is Parquet"),
])  # fmt: skip
def test_a_wrong_name_is_told(name: str, said: str) -> None:
    pq.write_table(TABLE, name)
    with pytest.raises(UserError, match=said):
        bring(Path(name))


@pytest.mark.parametrize(("given", "said"), [
    ("https://example.org/x.parquet", "Only files on disk are read"), (b"PAR1", "this is bytes"),
    (io.BytesIO(b""), "this is an open file"), (SimpleNamespace(values=3), "logits is a SimpleNamespace"),
    ({"train": pd.DataFrame(), "test": pd.DataFrame()}, "there are no arrays by name: train"),
    ([{"logits": T[0]}, {"score": T[0]}], "'logits' is not in every part"),
])  # fmt: skip
def test_what_cannot_be_read_is_named(given: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        bring(given, labels=A["label"])


def test_rows_are_matched_by_a_column_that_both_have() -> None:
    order = np.random.default_rng(0).permutation(60)
    files = [f"{k}.jpg" for k in range(60)]
    tuned = bring(TABLE.append_column("id", pa.array(range(60))).append_column("file", pa.array(files)))
    before = bring(pa.table({"logits": T[order].tolist(), "file": np.array(files)[order]}), labelled=False)
    found, said = same_samples(tuned, before)
    np.testing.assert_allclose(found.logits, A["logits"])
    assert "matched by their names" in said[0]
    again = TABLE.append_column("index", pa.array([*range(30), *range(30)]))
    assert same_samples(bring(again), bring(again))[1] == []  # in the same order


def test_a_column_that_names_no_rows_is_not_needed() -> None:
    found = bring(TABLE.append_column("id", pa.array([None, *range(59)])))
    assert any(
        "Rows are not matched by the column 'id': the column 'id' has 1 empty value" in one for one in found.notes
    )


FRAME = pd.DataFrame(
    {**{f"logit_{k}": A["logits"][:, k] for k in range(6)}, "label": A["label"], "subset": A["subset"]}
)


@pytest.mark.parametrize("text", [
    FRAME.to_csv(index=False, sep="|"), f"sep=;\n{FRAME.to_csv(index=False, sep=';', decimal=',')}",
    f"# of run 3\n#\n{FRAME.to_csv(index=False)}",
    FRAME.assign(logit_model="resnet").to_csv(index=False),
    FRAME.assign(label=[f"{k}.0" for k in A["label"]], file="a1.2.jpg").to_csv(index=False, sep=";", decimal=","),
])  # fmt: skip
def test_tables_as_programs_write_them(text: str) -> None:
    Path("x.csv").write_text(text, "utf-8")
    same(bring(Path("x.csv")))


@pytest.mark.parametrize(("text", "said"), [
    (FRAME.to_csv(index=False, header=False), "the first line has numbers"),
    (FRAME.round().astype({"logit_0": int}).to_csv(index=False, header=False), "the first line has numbers"),
    (FRAME.iloc[:, :6].to_csv(index=False, header=False, sep=" "), "its columns are divided by spaces"),
    (FRAME.assign(logit_5="7.4%").to_csv(index=False), "the column 'logit_5' is text, which begins with '7.4%'"),
    (FRAME.assign(logit_2="1,234.5").to_csv(index=False), "no signs for thousands"),
])  # fmt: skip
def test_text_that_is_no_table_of_logits_is_told(text: str, said: str) -> None:
    Path("x.csv").write_text(text, "utf-8")
    with pytest.raises(UserError, match=said):
        bring(Path("x.csv"))


def test_labels_alone_may_have_spaces() -> None:
    Path("y.csv").write_text("\n".join(["true label", *(f"the {k}" for k in A["label"])]), "utf-8")
    same(bring(A["logits"], labels=Path("y.csv"), subset=A["subset"]))


def test_an_index_and_statistics_are_no_classes() -> None:
    frame = pd.DataFrame(A["logits"], columns=list("abcdef"))
    frame.assign(loss=1.5).to_csv("x.csv")
    found = bring(Path("x.csv"), labels=A["label"], subset=A["subset"])
    same(found)
    assert found.classes == tuple("abcdef")
    assert "The column 'loss' is not taken as a class, by its name." in found.notes


@pytest.mark.parametrize(("name", "word"), [("is_train", "train"), ("Is Test", "test")])
@pytest.mark.parametrize("kind", [bool, int])
def test_a_flag_says_the_subset(name: str, word: str, kind: type) -> None:
    table = TABLE.drop(["subset"]).append_column(name, pa.array((A["subset"] == word).astype(kind)))
    found = bring(table)
    same(found)
    assert any(f"The column {name!r} is taken as subset" in note for note in found.notes)
    other = table.set_column(2, name, pa.array(np.arange(60)))
    assert bring(other).subset is None
