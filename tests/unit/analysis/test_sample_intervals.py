"""One model and its test samples: intervals over them, and the verdicts that they allow."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from page_cases import IN_S, logits, metrics_of
from result_tables import NAMES
from scipy.stats import binomtest

from finecal.analysis.diagnosis import diagnose as answers_of
from finecal.analysis.intervals import FEWEST
from finecal.analysis.statistics import row_of, summarise
from finecal.io.parquet import read_table
from finecal.library.command import diagnose_files as diagnose
from finecal.metrics.scores import score

CLASSES = ",".join(map(str, np.flatnonzero(IN_S)))


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def summary(n: int = 240) -> pd.DataFrame:
    """Of one run."""
    labels, before, tuned = logits(n=n)
    return summarise(metrics_of(labels, before, tuned, IN_S).assign(**NAMES, split="", seed=0))


def test_an_accuracy_has_wilsons_interval() -> None:
    labels, _, tuned = logits()
    right = int((tuned.argmax(1) == labels).sum())
    row = row_of(summary(), "acc_y_y", "fine_tuned")
    # Its own factor of 240 groups, 240 / 239, and t instead of the normal distribution make it a little wider.
    expected = binomtest(right, 240).proportion_ci(method="wilson")
    assert [row["low"], row["high"]] == pytest.approx([expected.low, expected.high], abs=5e-4)


def test_a_difference_has_bonett_and_prices_interval() -> None:
    labels, before, tuned = logits()
    of_u = ~IN_S[labels]
    one, other = ((values.argmax(1) == labels)[of_u] for values in (before, tuned))
    gained, lost, n = int((one & ~other).sum()), int((other & ~one).sum()), int(of_u.sum())
    p, q = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = 1.96 * np.sqrt((p + q - (p - q) ** 2) / (n + 2))
    row = row_of(summary(), "acc_u_y", "pretrained")
    assert row["difference"] == pytest.approx((gained - lost) / n)
    found = row[["difference_low", "difference_high"]].to_numpy(float)
    assert found == pytest.approx([p - q - half, p - q + half], abs=0.002)


def test_all_methods_and_metrics_have_intervals_but_for_too_few_samples() -> None:
    made = summary()
    assert made[["low", "high", "difference_low", "difference_high"]].notna().all(axis=None)
    few = summary(n=2 * (FEWEST - 1))  # every second sample is of U
    assert few[few["metric"] == "acc_u_y"]["low"].isna().all()
    assert few[few["metric"] == "acc_y_y"]["low"].notna().all()


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
    assert "Damaged: the logit scale (γ*, an upper bound, brings back" in said
    assert "There is one training only: the intervals are over its test samples, and whether it is so for" in said
    assert re.search(r"Logit scale: damaged\..*: −\d+\.\d points \[−\d.*\] \(1 run, 120 test samples\)", said)
    assert "over the test samples of this one training" in said
    assert "no verdict" not in said


def test_a_study_with_one_run_says_what_diagnose_says_of_the_same_logits() -> None:
    labels, before, tuned = logits()
    for name, values in (("tuned", tuned), ("before", before)):
        np.savez(f"{name}.npz", label=labels, logits=values)
    printed = diagnose(Path("tuned.npz"), CLASSES, Path("out"), pretrained="before.npz")
    both = read_table("out/metrics.parquet").to_pandas().assign(**NAMES, split="half0", seed=0)
    (answer,) = answers_of(both, read_table("out/calibration.parquet").to_pandas().assign(**NAMES))
    assert answer.headline in printed
    assert answer.headline in answer_of(Path("out"))
    assert all(finding.words in answer_of(Path("out")) for finding in answer.findings)
    by_hand = metrics_of(labels, before, tuned, IN_S).assign(**NAMES, split="half0", seed=0)
    assert [f.words for f in answers_of(by_hand, both.head(0).assign(parameter="", value=0.0))[0].findings][1] == (
        answer.findings[1].words
    )


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
    assert "Without the pretrained model what was damaged is not known. With γ* (an upper bound) the accuracy" in said
    assert f"the fine-tuning classes take {taken:.1f} points, and γ can bring back no more" in said
    assert re.search(r"changes this accuracy by \+[\d.]+ points \[[\d.]+, [\d.]+\]", said)
    assert "Nothing was measured" not in said
