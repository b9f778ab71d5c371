"""`finecal.diagnose` in a notebook: every kind of object gives one answer, the one of command line and page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from logits_cases import S, arrays

import finecal
from finecal.io import large
from finecal.library import measuring
from finecal.library.command import diagnose_files
from finecal.logits import files
from finecal.metrics import unit_rows

A = arrays()
BEFORE = A["logits"] - np.where(np.arange(6) < 3, 4, 0).astype(np.float32)
FORMS: dict[str, Any] = {
    "tensors": (torch.from_numpy(A["logits"]), torch.from_numpy(A["label"]), list(A["subset"])),
    "lists": (A["logits"].tolist(), A["label"].tolist(), A["subset"].tolist()),
    "pandas": (pd.DataFrame(A["logits"]), pd.Series(A["label"]), pd.Series(A["subset"], dtype="category")),
    "series of arrays": (pd.Series(list(A["logits"])), A["label"], A["subset"]),
    "arrow": (pa.array(A["logits"].tolist()), pa.array(A["label"]), pa.array(A["subset"])),
    "list of tensors": (list(torch.from_numpy(A["logits"])), list(torch.from_numpy(A["label"])), A["subset"]),
    "halves": (torch.from_numpy(A["logits"].astype(np.float16)), A["label"], A["subset"]),
}


@pytest.fixture(scope="module")
def r() -> finecal.Diagnosis:
    return finecal.diagnose(A["logits"], A["label"], S, pretrained=BEFORE, subset=A["subset"])


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_object_gives_one_answer(form: str, r: finecal.Diagnosis) -> None:
    logits, labels, subset = FORMS[form]
    found = finecal.diagnose(logits, labels, S, pretrained=BEFORE, subset=subset)
    tolerance = 2e-3 if form == "halves" else 1e-6
    assert found.gamma == pytest.approx(r.gamma, abs=tolerance)
    assert found.metrics["value"].to_numpy() == pytest.approx(r.metrics["value"].to_numpy(), abs=0.02, nan_ok=True)


@pytest.mark.parametrize("given", [S, np.array(S), {0, 1, 2}, "0,1,2", np.arange(6) < 3, pd.Series(S), torch.tensor(S)])
def test_s_in_every_form(given: Any, r: finecal.Diagnosis) -> None:
    found = finecal.diagnose(A["logits"], A["label"], given, subset=A["subset"])
    np.testing.assert_array_equal(found.fine_tuning, r.fine_tuning)


def test_the_command_line_and_the_page_say_the_same(r: finecal.Diagnosis, tmp_path: Path) -> None:
    np.savez(tmp_path / "tuned.npz", **A)
    np.savez(tmp_path / "before.npz", logits=BEFORE)
    pretrained = str(tmp_path / "before.npz")
    said = diagnose_files(tmp_path / "tuned.npz", "0,1,2", tmp_path / "out", pretrained=pretrained)
    assert said.splitlines()[:2] == [r.verdict, r.advice]
    text = re.sub(r"<[^>]+>", "", (tmp_path / "out/report.html").read_text("utf-8")).replace("\u00a0", " ")
    for page in (text, re.sub(r"<[^>]+>", "", r.report(tmp_path / "page.html").read_text("utf-8"))):
        assert r.verdict in page
        assert f"gamma = {r.gamma:.4f}" in page
    for line in said.splitlines():  # no line has γ* without a word that it is one
        assert "γ*" not in line or "upper bound" in line


def test_gamma_is_applied(r: finecal.Diagnosis) -> None:
    assert r.gamma == pytest.approx(4, abs=0.6)
    wanted = A["logits"] + np.where(np.arange(6) < 3, 0, r.gamma)
    np.testing.assert_allclose(r.apply(torch.from_numpy(A["logits"])), wanted, atol=1e-6)
    with pytest.raises(finecal.UserError, match=r"\(N, 6\) is needed"):
        r.apply(A["logits"][:, :5])


def test_it_shows_itself(r: finecal.Diagnosis) -> None:
    shown = r._repr_html_()
    assert r.verdict in shown
    assert "data:image/svg+xml;base64," in shown
    assert shown.count("<tr>") == 4  # heading, before, after, with γ
    assert repr(r) == f"{r.verdict}\n{r.advice}"
    figure = r.figure()
    assert {line.get_label().partition(",")[0] for line in figure.axes[0].lines} >= {"pretrained", "fine-tuned"}


def test_a_model_that_needs_nothing_is_left_as_it_is() -> None:
    found = finecal.diagnose(BEFORE, A["label"], S, pretrained=BEFORE, subset=A["subset"])
    assert found.advice.startswith("Leave the model as it is")
    assert found.gamma is None
    np.testing.assert_allclose(found.apply(BEFORE), BEFORE)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(finecal.UserError, match="fine_tuning: the fine-tuning classes are missing"):
        finecal.diagnose(A["logits"], A["label"])
    with pytest.raises(finecal.UserError, match="the labels are missing"):
        finecal.diagnose(A["logits"], fine_tuning=S)
    with pytest.raises(finecal.UserError, match="label has 239 rows, the logits have 240"):
        finecal.diagnose(A["logits"], A["label"][1:], S)
    with pytest.raises(finecal.UserError, match="rows of different lengths"):
        finecal.diagnose([[1.0, 2.0], [1.0]], [0, 1], [0])


@pytest.mark.parametrize("subset", ["in turn", "in a run"])
def test_large_arrays_get_the_same_answer(subset: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With limits that make everything large: columns, subsets, scores in parts. Only a note on fits is more."""
    table = arrays(600, seed=3)
    rows = np.argsort(table["subset"], kind="stable") if subset == "in a run" else np.arange(600)
    features = table["logits"] @ np.random.default_rng(0).normal(size=(6, 9))
    columns = {**table, "features": features.astype(np.float32), "pretrained": table["logits"] - 1}
    pd.DataFrame({name: list(values[rows]) for name, values in columns.items()}).to_parquet(tmp_path / "x.parquet")
    before = pd.DataFrame({"logits": list(columns["pretrained"][rows])})
    small = finecal.diagnose(tmp_path / "x.parquet", None, S, pretrained=before)
    for module, name, value in (
        (large, "LARGE", 200), (large, "PART", 400), (files, "VALUES", 100), (unit_rows, "LARGEST", 50),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    found = finecal.diagnose(tmp_path / "x.parquet", None, S, pretrained=before)
    pd.testing.assert_frame_equal(found.metrics, small.metrics, rtol=1e-12)
    pd.testing.assert_series_equal(found.gammas, small.gammas)
    monkeypatch.setattr(measuring, "FITTED", 6 * 200)
    drawn = finecal.diagnose(tmp_path / "x.parquet", None, S, pretrained=before)
    assert drawn.gammas["alg"] == pytest.approx(small.gammas["alg"], rel=0.05)
    assert drawn.gammas["oracle"] == small.gammas["oracle"]
    assert "at most 200 of the 300 training rows, evenly spread" in " ".join(drawn.notes)
