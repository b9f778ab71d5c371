"""What was brought is not mistaken: doubts take the advice away, rows are matched, nothing is replaced."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from logits_cases import CLASSES, S, arrays, softmax

from finecal.errors import UserError
from finecal.io.parquet import read_table
from finecal.library.classes import mask_of
from finecal.library.command import diagnose_files
from finecal.library.diagnosis import diagnose
from finecal.library.given import ScoresAs
from finecal.library.result import Diagnosis

A = arrays()


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(**changed: Any) -> Diagnosis:
    given = {**A, **changed}
    return diagnose(given["logits"], given["label"], S, subset=given["subset"])


def test_probabilities_get_the_answer_of_their_logits() -> None:
    plain, other = found(), found(logits=softmax(A["logits"]))
    assert plain.gamma is not None
    assert other.gamma == pytest.approx(plain.gamma, abs=1e-5)
    assert other.verdict == plain.verdict
    assert any("probabilities" in note for note in other.notes)
    np.testing.assert_array_equal(other.apply(softmax(A["logits"])).argmax(1), plain.apply(A["logits"]).argmax(1))


def test_what_the_scores_are_said_to_be_is_not_guessed() -> None:
    """Given alone or as a file, for the fine-tuned model as for the pretrained one."""
    p = softmax(A["logits"])
    as_they_are = found(logits=ScoresAs(p, "logits"))
    assert 0 < as_they_are.gammas["oracle"] < 1  # in units of probabilities
    np.save("p.npy", p)
    from_file = diagnose(ScoresAs("p.npy", "logits"), A["label"], S, subset=A["subset"])
    np.testing.assert_allclose(from_file.gammas, as_they_are.gammas, atol=1e-6)
    before = diagnose(A["logits"], A["label"], S, pretrained=ScoresAs(p, "logits"), subset=A["subset"])
    assert any("Pretrained: Scores are taken as logits" in note for note in before.notes)
    with pytest.raises(UserError, match="scores are 'odds'"):
        found(logits=ScoresAs(p, "odds"))


def masked() -> np.ndarray:
    logits: np.ndarray = A["logits"].copy()
    logits[:, 3:] = -1e9
    return logits


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"logits": masked()}, r"Classes 3, 4, 5 have no scores .* These are all classes of U"),
        ({"label": A["label"] % 3}, "No row is labelled with a class of U"),
        ({"label": A["label"] % 3 + 3}, "No row is labelled with a class of S"),
        (
            {"label": np.where(A["subset"] == "test", A["label"] % 3 + 3, A["label"])},
            "No test row is labelled with a class of S",
        ),
        ({"label": np.roll(A["label"], 7)}, "On the 60 training rows of S the model is right for .* chance is"),
        ({"label": (A["label"] + 1) % 6}, "With 1 subtracted they fit: the labels start at 1"),
        ({"logits": -A["logits"]}, "these are distances"),
        ({"label": np.array([2, 1, 0, 3, 4, 5])[A["label"]]}, "the order of the classes differs"),
    ],
)
def test_doubts_come_first_and_no_advice_is_given(changed: dict[str, Any], message: str) -> None:
    r = found(**changed)
    assert re.search(message, r.verdict), r.verdict
    assert r.advice == "No advice is given."
    assert r.gamma is None
    with pytest.raises(UserError, match="there is no advice to apply"):
        r.apply(A["logits"])


def test_page_and_terminal_say_the_doubt_first() -> None:
    np.savez("x.npz", **A | {"label": (A["label"] + 1) % 6})
    lines = diagnose_files(Path("x.npz"), "0,1,2", Path("out")).splitlines()
    page = Path("out/report.html").read_text("utf-8")
    assert "the labels start at 1" in lines[0]
    assert lines[1] == "No advice is given."
    assert not any(line.startswith("γ to add") for line in lines)
    assert "the labels start at 1" in page
    assert "+= gamma" not in page


def before(order: np.ndarray) -> pd.DataFrame:
    """The pretrained model's logits, right without γ."""
    logits = A["logits"] - np.where(np.arange(6) < 3, 4.0, 0.0)
    frame = pd.DataFrame({"id": np.arange(240), "label": A["label"], "logits": list(logits)})
    return frame.iloc[order]


def test_rows_are_matched_by_name_or_the_order_is_said_to_be_trusted() -> None:
    tuned = pd.DataFrame({"id": np.arange(240), **A, "logits": list(A["logits"])})
    plain = diagnose(tuned, None, S, pretrained=before(np.arange(240)))
    permuted = np.random.default_rng(0).permutation(240)
    other = diagnose(tuned, None, S, pretrained=before(permuted))
    pd.testing.assert_frame_equal(plain.metrics, other.metrics)
    assert any("matched by their names" in note for note in other.notes)
    assert not any("order of the rows was trusted" in note for note in (*plain.notes, *other.notes))
    trusted = diagnose(tuned.drop(columns="id"), None, S, pretrained=before(np.arange(240)))
    assert any("order of the rows was trusted" in note for note in trusted.notes)
    assert not any("not the same samples," in note for note in trusted.notes)


def test_rows_permuted_within_their_class_are_noticed() -> None:
    order = np.arange(240).reshape(40, 6)[np.random.default_rng(0).permutation(40)].reshape(-1)
    found = diagnose(A["logits"], A["label"], S, pretrained=before(order)["logits"], subset=A["subset"])
    assert any("probably not the same samples" in note for note in found.notes)


def test_missing_and_repeated_samples_are_named() -> None:
    tuned = pd.DataFrame({"id": np.arange(240), **A, "logits": list(A["logits"])})
    with pytest.raises(UserError, match="sample '7' is missing"):
        diagnose(tuned, None, S, pretrained=before(np.delete(np.arange(240), 7)))
    with pytest.raises(UserError, match="sample '3' is there more than once"):
        diagnose(tuned, None, S, pretrained=before(np.r_[np.arange(240), 3]))
    with pytest.raises(UserError, match="The labels differ"):
        diagnose(tuned.drop(columns="id"), None, S, pretrained=before(np.arange(240)[::-1]))


def test_labels_of_their_own_file_are_matched_too() -> None:
    pd.DataFrame(
        {
            "file": [f"{k}.png" for k in range(240)],
            "subset": A["subset"],
            **{f"logit_{k}": A["logits"][:, k] for k in range(6)},
        }
    ).to_csv("logits.csv", index=False)
    order = np.random.default_rng(1).permutation(240)
    pd.DataFrame({"file": [f"{k}.png" for k in order], "y": A["label"][order]}).to_csv("labels.csv", index=False)
    diagnose_files(Path("logits.csv"), "0,1,2", Path("out"), beside={"labels": "labels.csv"})
    label = read_table("out/samples.parquet")["label"].to_numpy()
    np.testing.assert_array_equal(label, A["label"][A["subset"] == "test"])


def test_no_input_and_nothing_of_anybody_elses_is_replaced() -> None:
    Path("mine").mkdir()
    frame = pd.DataFrame({**A, "logits": list(A["logits"])})
    frame.to_parquet("mine/samples.parquet")
    kept = Path("mine/samples.parquet").read_bytes()
    with pytest.raises(UserError, match=r"mine/samples\.parquet: this is an input"):
        diagnose_files(Path("mine/samples.parquet"), "0,1,2", Path("mine"))
    frame.to_parquet("x.parquet")
    with pytest.raises(UserError, match=r"mine/samples\.parquet: `finecal diagnose` did not write this file"):
        diagnose_files(Path("x.parquet"), "0,1,2", Path("mine"))
    assert Path("mine/samples.parquet").read_bytes() == kept
    for folder in ("results/d/a-b/m/full/half0/seed0", "results/d/a-b/m/full/half0/seed0/mine"):
        with pytest.raises(UserError, match="this is a folder of a study's results"):
            diagnose_files(Path("x.parquet"), "0,1,2", Path(folder))
    Path("page").mkdir()
    Path("page/report.html").write_text("my own")
    with pytest.raises(UserError, match=r"page/report\.html"):
        diagnose_files(Path("x.parquet"), "0,1,2", Path("page"))
    with pytest.raises(UserError, match="there is something else under this name"):
        found().report("page/report.html")
    diagnose_files(Path("x.parquet"), "0,1,2", Path("out"))
    diagnose_files(Path("x.parquet"), "0,1,2", Path("out"))  # its own results it replaces
    shutil.rmtree("out")


def test_a_list_of_classes_that_is_no_text_or_has_a_mark() -> None:
    pd.DataFrame({**A, "logits": list(A["logits"])}).to_parquet("x.parquet")
    Path("classes.bin").write_bytes(b"\x80\x81\0\1")
    with pytest.raises(UserError, match=r"classes\.bin: byte 0 is not UTF-8"):
        diagnose_files(Path("x.parquet"), "classes.bin", Path("out"))
    Path("classes.txt").write_text("\ufeff0\r\n1\r\n2\r\n", "utf-8")
    assert "Files: out" in diagnose_files(Path("x.parquet"), "classes.txt", Path("out"))


def test_classes_have_names_where_there_are_any() -> None:
    names = ("ash", "birch", "cedar", "elm", "fir", "oak")
    by_name = diagnose(A["logits"], [names[k] for k in A["label"]], names[:3], subset=A["subset"])
    assert by_name.classes == names
    assert by_name.gamma == found().gamma
    assert '"elm"' in by_name.page()
    by_mask = diagnose(A["logits"], A["label"], np.arange(6) < 3, subset=A["subset"], classes=names)
    assert by_mask.gamma == found().gamma
    with pytest.raises(UserError, match="unknown class 'yew'"):
        diagnose(A["logits"], A["label"], ["yew"], classes=names)


def test_a_mask_in_numbers_is_no_list_of_classes() -> None:
    with pytest.raises(UserError, match="6 numbers 0 or 1 are no class numbers"):
        mask_of([1, 1, 1, 0, 0, 0], 6)


def test_percentages_that_were_rounded() -> None:
    table = arrays(2400)
    whole = np.round(100 * softmax(table["logits"] / 3)).astype(int)  # few are 0
    r = diagnose(whole, table["label"], S, subset=table["subset"])
    assert r.scores == "percentages"
    assert 3 * r.gammas["alg"] == pytest.approx(4, abs=0.6)


def test_s_told_the_wrong_way_round_is_noticed() -> None:
    table = arrays()
    right = diagnose(table["logits"], table["label"], S, subset=table["subset"])
    wrong = diagnose(table["logits"], table["label"], [3, 4, 5], subset=table["subset"])
    assert wrong.gamma is not None
    assert wrong.gamma < 0
    assert [note for note in wrong.notes if "the wrong way round" in note]
    assert not [note for note in right.notes if "the wrong way round" in note]


def test_numbers_of_samples_that_a_join_has_made_floats_are_numbers() -> None:
    table = arrays()
    tuned = {"logits": list(table["logits"]), "label": table["label"], "subset": table["subset"], "id": np.arange(240)}
    before = pd.DataFrame({"logits": list(table["logits"]), "id": np.arange(240.0)}).sample(frac=1, random_state=0)
    assert any(
        "matched by their names" in note for note in diagnose(pd.DataFrame(tuned), None, S, pretrained=before).notes
    )


def test_rows_that_are_there_twice_are_said() -> None:
    """The same samples in training and test, or in the test rows; whole numbers may be alike by accident."""
    logits, label = np.concatenate([A["logits"]] * 2), np.concatenate([A["label"]] * 2)
    leak = diagnose(logits, label, S, subset=np.repeat(["train", "test"], 240))
    assert any("240 test rows of 240 have the logits of a training" in note for note in leak.notes)
    repeats = diagnose(logits, label, S, subset=np.concatenate([A["subset"]] * 2))
    assert any("120 test rows of 240 repeat another" in note for note in repeats.notes)
    whole = diagnose(np.round(logits), label, S, subset=np.repeat(["train", "test"], 240))
    assert not any("test rows of" in note for note in (*found().notes, *whole.notes))


def test_what_is_nearly_a_known_kind_is_said() -> None:
    p = softmax(A["logits"])
    top = found(logits=np.where(p >= np.sort(p, axis=1)[:, [-3]], p, 0))
    assert top.scores == "probabilities"
    assert any("50 % of the probabilities are 0" in note for note in top.notes)
    for logits, words in (
        (np.round(p * 255).astype(np.uint8), "Every row sums to about 25"),
        (-np.log1p(np.exp(-A["logits"])), "logarithms of sigmoids"),
    ):
        assert any(words in note for note in found(logits=logits).notes)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (A["label"] - 1, "add 1"),
        (np.where(np.arange(240) == 3, -1, A["label"]), "leave such rows out"),
        (A["label"][:6], None),
    ],
)
def test_labels_that_fit_in_another_way(label: np.ndarray, words: str | None) -> None:
    if words is None:  # one row per class instead of one column
        with pytest.raises(UserError, match=r"bring them transposed"):
            diagnose(A["logits"].T, A["label"], S)
        return
    with pytest.raises(UserError, match=words):
        found(label=label)


def test_classes_as_models_of_the_hub_have_them() -> None:
    numbers = dict(enumerate(CLASSES))
    for classes in (numbers, {str(k): name for k, name in numbers.items()}, {name: k for k, name in numbers.items()}):
        r = diagnose(A["logits"], A["label"], ["ash", "birch", "cedar"], classes=classes, subset=A["subset"])
        assert r.classes == CLASSES
    with pytest.raises(UserError, match="a dict of classes must have each number"):
        diagnose(A["logits"], A["label"], S, classes={1: "ash"})
    with pytest.raises(UserError, match="a dict is not understood"):
        diagnose(A["logits"], A["label"], {"ash": 1})


def test_scores_of_another_kind_are_not_applied_to() -> None:
    before = softmax(A["logits"] - np.where(np.arange(6) < 3, 4, 0))
    r = diagnose(softmax(A["logits"]), A["label"], S, pretrained=before, subset=A["subset"])
    with pytest.raises(UserError, match="none of the probabilities"):
        r.apply(A["logits"])
    advice = replace(r.answer, advice=replace(r.answer.advice, calibrator="gla"))
    both = replace(r, answer=advice)
    logits = diagnose(A["logits"], A["label"], S, pretrained=np.log(before), subset=A["subset"])
    wanted = replace(logits, answer=advice).apply(A["logits"], pretrained=np.log(before))
    found = both.apply(softmax(A["logits"]), pretrained=before)
    np.testing.assert_allclose(softmax(found), softmax(wanted), atol=1e-4)


def test_where_a_page_can_be_written(tmp_path: Path) -> None:
    r = found()
    assert r.report("page.html") == r.report("page.html")  # its own page is replaced
    for name in ("x" * 300, "a\0b.html", "page.html/b.html"):
        with pytest.raises(UserError, match="cannot be written"):
            r.report(name)
    with pytest.raises(UserError, match="this is a NoneType"):
        r.export(None, "folder")
