"""One model and its test samples: intervals over them, and the verdicts that they allow."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finecal.analysis.sample_intervals import FEWEST, right, with_intervals
from page_cases import GAMMAS, IN_S, logits, metrics_of
from result_tables import NAMES

from finecal.analysis.statistics import summarise
from finecal.metrics.scores import score
from finecal.stages.diagnose import diagnose

CLASSES = ",".join(map(str, np.flatnonzero(IN_S)))


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def summary(n: int = 240) -> pd.DataFrame:
    """Of one run, with intervals over its samples."""
    labels, before, tuned = logits(n=n)
    metrics = metrics_of(labels, before, tuned, IN_S).assign(**NAMES, split="", seed=0)
    found = {("pretrained", "none"): right(before, labels, IN_S), ("fine_tuned", "none"): right(tuned, labels, IN_S)}
    for name, (gamma, _) in GAMMAS.items():
        found["fine_tuned", name] = right(tuned + gamma * ~IN_S, labels, IN_S)
    return with_intervals(summarise(metrics), found)


def test_what_is_right_adds_up_to_the_accuracies() -> None:
    labels, _, tuned = logits()
    expected, _ = score(tuned, labels, IN_S)
    for name, ok in right(tuned, labels, IN_S).items():
        assert (ok.mean(), len(ok)) == pytest.approx(expected[name])


def test_intervals_are_those_of_drawing_samples() -> None:
    labels, before, tuned = logits()
    of_u = ~IN_S[labels]
    pairs = (before.argmax(1) == labels)[of_u].astype(int) - (tuned.argmax(1) == labels)[of_u]
    drawn = np.random.default_rng(0).choice(pairs, (20_000, len(pairs))).mean(axis=1)
    made = summary()
    row = made[(made["classifier"] == "pretrained") & (made["metric"] == "acc_u_y")].iloc[0]
    assert row["difference"] == pytest.approx(pairs.mean())
    found = row[["difference_low", "difference_high"]].to_numpy(float)
    assert found == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.012)
    assert row["low"] < row["mean"] < row["high"]


def test_what_single_samples_do_not_tell_has_no_interval() -> None:
    made = summary()
    assert made[made["metric"] == "ausuc"]["low"].isna().all()
    assert made[made["calibrator"] == "cosine"]["difference_low"].isna().all()
    known = made[made["metric"].str.startswith("acc_") & (made["calibrator"] != "cosine")]
    assert known[["low", "high", "difference_low", "difference_high"]].notna().all(axis=None)
    few = summary(n=2 * (FEWEST - 1))  # every second sample is of U
    assert few[few["metric"] == "acc_u_y"]["low"].isna().all()
    assert few[(few["metric"] == "acc_y_y") & (few["calibrator"] == "none")]["low"].notna().all()


def answer_of(folder: Path) -> str:
    page = (folder / "report.html").read_text("utf-8").replace("\u00a0", " ")
    text = page.partition('id="answer"')[2].partition("</section>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_own_logits_get_a_verdict() -> None:
    labels, before, tuned = logits()
    for name, values in (("tuned", tuned), ("before", before)):
        np.savez(f"{name}.npz", label=labels, logits=values)
    diagnose(Path("tuned.npz"), CLASSES, Path("out"), pretrained="before.npz")
    said = answer_of(Path("out"))
    assert "Damaged: the logit scale (γ* brings back" in said
    assert "There is one training only: the intervals are over its test samples, others may differ more." in said
    assert re.search(r"Logit scale: damaged\..*: −\d+\.\d points \[−\d.*\] \(1 run, 120 test samples\)", said)
    assert "over the test samples of this one training" in said
    assert "no verdict" not in said


def test_features_have_a_verdict_too() -> None:
    labels, before, tuned = logits()
    subset = np.where(np.arange(240) < 120, "train", "test")
    for name, values in (("tuned", tuned), ("before", before)):
        features = values if name == "before" else np.random.default_rng(0).normal(size=values.shape)
        np.savez(f"{name}.npz", label=labels, logits=values, features=features, subset=subset)
    diagnose(Path("tuned.npz"), CLASSES, Path("out"), pretrained="before.npz")
    said = answer_of(Path("out"))
    assert "Damaged: the features" in said
    assert "γ cannot repair the features." in said
    assert re.search(
        r"γ cannot repair the features: with any γ .* at most acc_u_u = [\d.]+ % \[.*\] \(1 run, 60 ", said
    )


def test_without_the_pretrained_model_it_is_said_what_gamma_brings_back() -> None:
    labels, _, tuned = logits()
    np.savez("tuned.npz", label=labels, logits=tuned)
    diagnose(Path("tuned.npz"), CLASSES, Path("out"))
    said = answer_of(Path("out"))
    values, _ = score(tuned, labels, IN_S)
    taken = 100 * (values["acc_u_u"][0] - values["acc_u_y"][0])
    assert "Without the pretrained model what was damaged is not known. With γ* the accuracy on absent" in said
    assert f"the fine-tuning classes take {taken:.1f} points, and γ can bring back no more" in said
    assert re.search(r"changes this accuracy by \+[\d.]+ points \[[\d.]+, [\d.]+\]", said)
    assert "Nothing was measured" not in said
