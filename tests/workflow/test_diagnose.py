"""`finecal diagnose` on files of logits: agreement with the published evaluation code, and every way to be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import REPOSITORY, Project, one_paragraph

from finecal import registry

GOLDEN = REPOSITORY / ".." / "shared" / "golden"
NAMES = {
    "All/All Accuracy": "acc_y_y",
    "Visible/All Accuracy": "acc_s_y",
    "Invisible/All Accuracy": "acc_u_y",
    "Visible/Visible Accuracy": "acc_s_s",
    "Invisible/Invisible Accuracy": "acc_u_u",
}


@pytest.fixture
def folder(source: Path, tmp_path: Path) -> Project:
    """An empty folder: no study, no config.yaml."""
    (tmp_path / "somewhere").mkdir()
    return Project(tmp_path / "somewhere", source)


def measured(folder: Project, out: str, calibrator: str = "none") -> dict[str, float]:
    """Metric → value of the fine-tuned classifier, with a calibrator."""
    table = pq.read_table(folder.path(out, "metrics.parquet")).to_pandas()
    chosen = table[(table["classifier"] == "fine_tuned") & (table["calibrator"] == calibrator)]
    return dict(zip(chosen["metric"], chosen["value"], strict=True))


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="numbers of the published code are not here")
class TestPublishedNumbers:
    @pytest.fixture(params=["small_ties", "office_home_like", "imagenet_r_like"])
    def golden(self, request: pytest.FixtureRequest) -> tuple[Path, dict[str, Any]]:
        file = GOLDEN / f"{request.param}.parquet"
        return file, json.loads(file.with_suffix(".json").read_text())

    def test_all_samples(self, folder: Project, golden: tuple[Path, dict[str, Any]]) -> None:
        file, expected = golden
        classes = ",".join(map(str, expected["fine_tuning_classes"]))
        said = folder.forked("finecal", "diagnose", str(file), "--fine-tuning", classes, "--out", "out")
        found = measured(folder, "out")
        for name, percent in expected["accuracy"].items():
            assert 100 * found[NAMES[name]] == pytest.approx(percent, abs=1e-4), name
        assert found["ausuc"] == pytest.approx(expected["ausuc"], abs=2e-3)
        best = measured(folder, "out", "oracle")["acc_y_y"]
        assert 100 * best == pytest.approx(expected["best_overall_on_curve"]["overall"], abs=1e-4)
        assert "No column `subset`: all rows are taken as test rows." in said
        # No training rows: what reads them cannot be fitted.
        assert "Left out for want of rows with the subset 'train' of fine-tuning classes: alg, " in said
        left_out = {name for line in said.splitlines() if line.startswith("Left out") for name in names_in(line)}
        assert {"alg", "temperature", "pcv", "source_gap", "cosine", "ncm", "wise_ft"} <= left_out
        metrics = pq.read_table(folder.path("out/metrics.parquet"))["calibrator"].to_pylist()
        assert set(metrics) == set(registry.names("calibrator")) - left_out == {"none", "oracle", "group_log_softmax"}

    def test_first_half_for_training(self, folder: Project, golden: tuple[Path, dict[str, Any]]) -> None:
        file, expected = golden
        table = pq.read_table(file)
        half = table.num_rows // 2
        subset = pa.array(["train"] * half + ["test"] * (table.num_rows - half))
        pq.write_table(table.append_column("subset", subset), folder.path("halves.parquet"))
        classes = ",".join(map(str, expected["fine_tuning_classes"]))
        said = folder.forked("finecal", "diagnose", "halves.parquet", "--fine-tuning", classes, "--out", "out")
        found = measured(folder, "out")
        for name, percent in expected["ncm_second_half_with_means_of_first_half"].items():
            assert 100 * found[f"ncm_{NAMES[name]}"] == pytest.approx(percent, abs=1e-4), name
        assert "No column" not in said
        assert "alg" not in said[said.index("Left out") :]
        assert "Left out for want of further trainings, which only a study has: pcv, pcv_all_classes" in said


def names_in(line: str) -> list[str]:
    """The calibrators in a sentence on what is left out."""
    return line.rpartition(": ")[2].removesuffix(".").split(", ")


def example() -> dict[str, Any]:
    """Twelve samples of four classes."""
    random = np.random.default_rng(0)
    return {
        "label": np.tile(np.arange(4), 3).astype(np.int64),
        "logits": random.normal(size=(12, 4)).astype(np.float32),
        "features": random.normal(size=(12, 3)).astype(np.float32),
        "subset": np.array(["train"] * 4 + ["test"] * 8),
    }


def write_parquet(folder: Project, columns: dict[str, Any], name: str = "logits.parquet") -> None:
    arrays = {k: pa.array(list(v)) if getattr(v, "ndim", 1) == 2 else pa.array(v) for k, v in columns.items()}
    pq.write_table(pa.table(arrays), folder.path(name))


def test_npz_and_a_file_of_classes(folder: Project) -> None:
    """The same numbers as from Parquet, with the classes in a file, with pretrained logits."""
    arrays = example()
    before = arrays | {"logits": arrays["logits"] + np.float32(1)}
    write_parquet(folder, arrays)
    write_parquet(folder, before, "before.parquet")
    np.savez(folder.path("logits.npz"), **arrays)
    np.savez(folder.path("before.npz"), **before)
    folder.path("classes.txt").write_text("0\n\n2\n")
    for suffix, classes in (("parquet", "0,2"), ("npz", "classes.txt")):
        pretrained = ("--pretrained", f"before.{suffix}")
        folder.forked("finecal", "diagnose", f"logits.{suffix}", "--fine-tuning", classes, "--out", suffix, *pretrained)
    for name in ("metrics", "curve", "calibration"):
        one, other = (pq.read_table(folder.path(kind, f"{name}.parquet")).to_pandas() for kind in ("parquet", "npz"))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    plain = pd.read_parquet(folder.path("npz/metrics.parquet"))
    assert set(plain["classifier"]) == {"pretrained", "fine_tuned"}
    assert {"none", "alg", "oracle"} <= set(plain["calibrator"])
    # By hand: the accuracy over all classes of the test rows.
    test = arrays["subset"] == "test"
    right = arrays["logits"].argmax(axis=1)[test] == arrays["label"][test]
    assert measured(folder, "npz")["acc_y_y"] == pytest.approx(right.mean())
    for kind in ("parquet", "npz"):
        assert {p.name for p in folder.path(kind).iterdir()} >= {"seen_unseen_curve.svg", "seen_unseen_curve.png"}


def without(name: str) -> dict[str, Any]:
    return {k: v for k, v in example().items() if k != name}


def changed(name: str, index: Any, value: Any) -> dict[str, Any]:
    columns = example()
    columns[name][index] = value
    return columns


RAGGED = [[0.0] * (3 if row == 5 else 4) for row in range(12)]


@pytest.mark.parametrize(
    ("columns", "classes", "message"),
    [
        (
            without("label"),
            "0,2",
            "logits.parquet: the column 'label' is missing. It has logits, features, subset. Names such as label, "
            "labels, target, targets, y, y_true are understood. Hint: A file of labels can be given (--labels FILE, "
            "labels=).",
        ),
        (
            without("logits"),
            "0,2",
            "logits.parquet: the column 'logits' is missing. It has label, features, subset. Names such as logits, "
            "logit, z, scores, score, outputs are understood.",
        ),
        (
            example() | {"logits": RAGGED},
            "0,2",
            "logits.parquet: the column 'logits' has lists of different lengths: 3, 4.",
        ),
        (
            changed("logits", (6, 1), np.nan),
            "0,2",
            "logits.parquet: row 6 has a logit that is NaN or infinite (1 row does). Hint: Such logits come from a "
            "diverged model or a lost half-precision value.",
        ),
        (changed("label", 3, 4), "0,2", "logits.parquet: row 3 has the label 4. Labels are 0 to 3."),
        (
            changed("label", 3, -1),
            "0,2",
            "logits.parquet: row 3 has the label -1. Labels are 0 to 3. Hint: A negative number "
            "often stands for no label: leave such rows out.",
        ),
        (
            changed("subset", 0, "fold"),
            "0,2",
            "logits.parquet: subset has the value 'fold'. Allowed are train, validation and test, and words such as "
            "training, val, valid, dev and eval.",
        ),
        (
            example() | {"subset": np.array(["train"] * 12)},
            "0,2",
            "logits.parquet: there is no test sample. At least one row needs the subset 'test'.",
        ),
        (
            example() | {"label": [None, *example()["label"][1:]]},
            "0,2",
            "logits.parquet: the column 'label' has 1 empty value.",
        ),
        ({"label": [], "logits": []}, "0,2", "logits.parquet: there is no sample."),
        (
            example(),
            "0,1,2,3",
            "--fine-tuning: all of the 4 classes are fine-tuning classes. S and U both need one.",
        ),
        (example(), "", "--fine-tuning: none of the 4 classes are fine-tuning classes. S and U both need one."),
        (example(), "0,4", "--fine-tuning: class number 4 is out of range. 0 to 3 are allowed."),
        (example(), "0,0", "--fine-tuning: class '0' is given more than once."),
        (
            example(),
            "0,two",
            "--fine-tuning: 'two' is not a class number. Give numbers separated by commas, or a file with one number "
            "per line. Hint: Names are understood where those of all classes are known (--classes, classes=).",
        ),
    ],
)
def test_wrong_input(folder: Project, columns: dict[str, Any], classes: str, message: str) -> None:
    write_parquet(folder, columns)
    command = ("finecal", "diagnose", "logits.parquet", "--fine-tuning", classes, "--out", "out")
    output = folder.forked(*command, status=2)
    assert one_paragraph(output) == f"finecal: {message}"
    assert not folder.path("out").exists()


def test_not_a_file_of_logits(folder: Project) -> None:
    folder.path("logits.csv").write_text("label,logit_0,logit_1\n")
    folder.path("logits.npz").write_text("no archive")
    folder.path("logits.parquet").write_text("no table")
    for name, message in (
        ("logits.parquet", "logits.parquet: not readable as Parquet"),
        ("logits.csv", "logits.csv: there is no sample"),
        ("logits.npz", "logits.npz: not readable as .npz"),
        ("none.parquet", "none.parquet: this file is missing."),
        ("none.npz", "none.npz: this file is missing."),
    ):
        output = folder.forked("finecal", "diagnose", name, "--fine-tuning", "0", "--out", "out", status=2)
        assert "will be made again" not in one_paragraph(output, message)
    assert not folder.path("out").exists()


def test_no_test_row_of_an_absent_class(folder: Project) -> None:
    """The γ are fitted; what needs absent test rows is left out or a dash, and said."""
    columns = example()
    columns["label"] = np.where(columns["subset"] == "test", columns["label"] % 2, columns["label"])
    write_parquet(folder, columns)
    said = folder.forked("finecal", "diagnose", "logits.parquet", "--fine-tuning", "0,1", "--out", "out")
    assert "No test row is of an absent class: what calibration is worth is not known." in said
    assert "Left out for want of rows with the subset 'test' of absent classes: oracle." in said
    assert "nan" not in said
    found = measured(folder, "out", "alg")
    assert {name for name, value in found.items() if not np.isnan(value)} == {
        prefix + name for prefix in ("", "macro_") for name in ("acc_s_y", "acc_s_s")
    }
