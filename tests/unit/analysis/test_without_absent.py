"""Test samples of fine-tuning classes alone: what is not measured is left open, and said, instead of made up."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from result_tables import made_tables

from finecal import figures, registry, tables
from finecal.analysis.advice import NO_ABSENT
from finecal.analysis.diagnosis import diagnose
from finecal.analysis.findings import NOT_MEASURED
from finecal.analysis.statistics import with_absent
from finecal.calibration.contract import Data, Labelled
from finecal.calibrators import oracle
from finecal.errors import UserError
from finecal.figures import NO_ABSENT as NOTHING_TO_SHOW
from finecal.metrics.per_class import per_class_curve
from finecal.metrics.scores import score, score_ncm
from finecal.stages.evaluate import curve_table

S = np.array([True, True, False])
LOGITS = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
AVERAGED = {"acc_y_y", "acc_u_y", "acc_u_u", "harmonic_mean", "ausuc"}
OF_ALL = {*AVERAGED, *(f"macro_{name}" for name in AVERAGED), "macro_f1", "nll", "ece"}


def test_what_speaks_of_all_classes_is_unknown() -> None:
    values, _ = score(LOGITS, np.array([0, 1, 0]), S)
    assert {name for name, (value, n, *_) in values.items() if math.isnan(value) and n == 0} == OF_ALL
    assert values["acc_s_y"][:2] == (2 / 3, 3)
    assert values["acc_s_s"][:2] == (1.0, 3)
    assert values["macro_acc_s_y"][:2] == (0.5, 3)  # all of class 0, none of class 1
    table = curve_table("fine_tuned", per_class_curve(LOGITS, np.array([0, 1, 0]), S)).to_pandas()
    assert table[["acc_s_y", "macro_acc_s_y"]].notna().all(axis=None)
    assert table[["acc_u_y", "acc_y_y", "macro_acc_u_y", "macro_acc_y_y"]].isna().all(axis=None)
    known, _ = score(LOGITS, np.array([0, 2, 0]), S)
    assert not any(math.isnan(value) for value, *_ in known.values())


def test_class_means_need_training_samples_of_the_classes_that_are_tested() -> None:
    features, labels = np.eye(3), np.arange(3)
    assert score_ncm((features, labels), (features, labels), S)["ncm_acc_y_y"][:2] == (1.0, 3)
    one_missing = score_ncm((features[1:], labels[1:]), (features, labels), S)
    assert one_missing["ncm_acc_y_y"][:2] == (2 / 3, 3)
    assert one_missing["ncm_acc_u_y"][:2] == (1.0, 1)
    for trained, tested in (([0, 1], [0, 1, 2]), ([0, 1], [0, 1])):
        found = score_ncm((features[trained], labels[trained]), (features[tested], labels[tested]), S)
        assert all(math.isnan(value) and n == 0 for value, n, *_ in found.values())


def test_the_best_gamma_needs_them() -> None:
    data = Data(S, {"test": Labelled(LOGITS, np.array([0, 1, 0]))}, frozenset({"test"}))
    with pytest.raises(UserError, match="needs test samples of absent classes"):
        oracle.Calibrator(oracle.Options()).fit(data)


def lacking(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The aggregated tables as they would be without a test sample of U."""
    changed = {name: frame.copy() for name, frame in frames.items()}
    metrics = changed["metrics"]
    unknown = ~metrics["metric"].isin(["acc_s_y", "acc_s_s"])
    metrics["n"] = metrics["n"].where(~unknown, 0)
    metrics["value"] = metrics["value"].mask(unknown)
    for name in ("curve", "history"):
        for column in ("acc_u_y", "acc_y_y", *(c for c in changed[name] if c.startswith("absent_"))):
            if column in changed[name]:
                changed[name][column] = np.nan
    for column in ("acc_y_y", "best_gamma", "best_acc_y_y"):
        changed["gamma_draws"][column] = np.nan
    return changed


@pytest.mark.parametrize("name", registry.names("figure"))
def test_figures_draw_what_is_there_or_say_that_nothing_is(name: str, tmp_path: Path) -> None:
    frames = lacking(made_tables())
    figures.draw_and_save(name, frames, tmp_path / name, provenance={})
    _, data = figures.draw(name, frames)
    shows_absent = registry.constant("figure", name, "ABSENT", False)
    assert ("note" in data) == shows_absent
    assert not shows_absent or data["note"].tolist() == [NOTHING_TO_SHOW]


@pytest.mark.parametrize(
    "name", [n for n in registry.names("figure") if registry.constant("figure", n, "ABSENT", False)]
)
def test_figures_leave_out_the_data_set_that_has_none(name: str) -> None:
    known, unknown = made_tables(), lacking(made_tables(dataset="other"))
    both = {key: pd.concat([known[key], unknown[key]], ignore_index=True) for key in known}
    _, data = figures.draw(name, both)
    assert set(data["dataset"]) == set(figures.draw(name, known)[1]["dataset"])


@pytest.mark.parametrize("name", registry.names("table"))
def test_tables_have_dashes(name: str, tmp_path: Path) -> None:
    frames = lacking(made_tables())
    tables.write(name, frames, tmp_path / name, provenance={})
    text = (tmp_path / f"{name}.md").read_text("utf-8")
    assert "nan" not in text.lower().replace("finance", "")


def test_the_answer_names_what_was_fitted_and_judges_nothing() -> None:
    frames = lacking(made_tables())
    for answer in diagnose(frames["metrics"], frames["calibration"]):
        assert {finding.verdict for finding in answer.findings} == {NOT_MEASURED}
        assert answer.advice.calibrator == "none"
        assert answer.headline.startswith("Without test samples of absent classes what was damaged is not known")
        fitted = "What was fitted without them, and its price: ALG γ = 1.00 (fine-tuning classes −2.0 points ["
        assert answer.advice.words.startswith(f"{NO_ABSENT} {fitted}")
        assert "PCV γ = 2.00 (fine-tuning classes −5.0 points [" in answer.advice.words
        assert "γ* γ" not in answer.advice.words  # was fitted with them


def test_rows_of_runs_with_absent_samples() -> None:
    known, unknown = made_tables()["metrics"], lacking(made_tables(dataset="other"))["metrics"]
    left = with_absent(pd.concat([known, unknown], ignore_index=True))
    assert len(left) == len(known)
    assert set(left["dataset"]) == set(known["dataset"])
