"""One answer everywhere: both pages, the terminal, the library and the model card say the same of the same logits."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logits_cases import CLASSES, S, arrays

import finecal
from finecal import paths, schemas
from finecal.export.model_card import Card, Origin, card_text
from finecal.io.parquet import write_table
from finecal.library.summary import summary
from finecal.models.build import Architecture
from finecal.paths import RunKey
from finecal.report.study_page import render
from finecal.stages.export import tell_of

A = arrays(600)
SIX = np.arange(6)
BEFORE = (A["logits"] - np.where(SIX < 3, 4, 0) + np.random.default_rng(1).normal(size=(600, 6))).astype(np.float32)
ONLY_S = np.where(A["subset"] == "test", A["label"] % 3, A["label"])
UNEVEN = A["logits"] - np.array([0, 0, 0, 0, 2, 5], np.float32)  # no single γ makes this good
CASES: dict[str, dict[str, Any]] = {
    "gamma": {"logits": A["logits"], "labels": A["label"], "pretrained": BEFORE},
    "no pretrained model": {"logits": A["logits"], "labels": A["label"]},
    "nothing helps": {"logits": BEFORE, "labels": A["label"], "pretrained": BEFORE},
    "no test sample of U": {"logits": A["logits"], "labels": ONLY_S, "pretrained": BEFORE},
}
RUN = RunKey("mine", "a-b", "net", "full", "half", 0)


def made(case: str) -> finecal.Diagnosis:
    given = CASES[case]
    return finecal.diagnose(
        given["logits"], given["labels"], S, pretrained=given.get("pretrained"), subset=A["subset"], classes=CLASSES
    )


def words(text: str) -> str:
    """What a reader sees: without tags, without marks of Markdown, all spaces alike."""
    text = re.sub(r"<(style|script).*?</\1>", "", text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).replace("**", "").split())


def study_page(r: finecal.Diagnosis) -> str:
    frames = {name: frame.assign(**RUN.columns()) for name, frame in r.frames("metrics", "calibration").items()}
    return render(frames, {}, made=(), studies="", provenance={})


def card(r: finecal.Diagnosis, folder: Path) -> str:
    """The card of a run that has these metrics; its text is made from the files that the pipeline writes."""
    place = folder / RUN.folder
    for name, file, schema in (
        ("metrics", paths.METRICS, schemas.METRICS), ("calibration", paths.CALIBRATION, schemas.CALIBRATION),
    ):  # fmt: skip
        write_table(place / file, r.measured.tables[name], schemas.own_columns(schema), provenance={})
    built = Architecture("resnet10t", {}, CLASSES, 3, 32, (0.5,) * 3, (0.5,) * 3)
    form = {
        "kind": "affine", "calibrator": "alg", "reads": ["train_fine_tuning"], "fine_tuning": r.fine_tuning,
        "gamma": r.measured.states["alg"]["gamma"], "stored": None,
    }  # fmt: skip
    origin = Origin(
        where=RUN.columns(), heading="mine, a → b", tuned="", tests="b", source=f"Run `{RUN.folder}` of",
        metrics=r.measured.tables["metrics"].to_pylist(), record={"version": "1", "commit": ""}, told=tell_of(RUN),
    )  # fmt: skip
    return card_text(Card(origin, form, built, True, [], False))


@pytest.mark.parametrize("case", CASES)
def test_all_five_say_the_same(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    r = made(case)
    surfaces = {
        "page of a study": study_page(r), "page of diagnose": r.page(), "terminal": summary(r, Path("out")),
        "notebook": r._repr_html_(), "model card": card(r, tmp_path),
    }  # fmt: skip
    told = r.told
    sentences = [r.verdict, r.advice, *(line.text for line in told.lines), *r.reasons.splitlines(), told.code]
    assert len(told.lines) == 3
    for name, text in surfaces.items():
        seen = words(text)
        for sentence in sentences:
            assert words(sentence) in seen, (name, sentence)
    for name in ("terminal", "model card"):
        for line in surfaces[name].splitlines():
            assert "γ*" not in line or "upper bound" in line, (name, line)


def test_the_verdict_and_gamma_come_first_in_the_terminal() -> None:
    r = made("gamma")
    lines = summary(r, Path("out")).splitlines()
    assert lines[:2] == [r.verdict, r.advice]
    assert f"γ = {r.gamma:.2f}" in lines[1]
    places = [number for number, line in enumerate(lines) if line.startswith("Left out")]
    assert places
    assert min(places) > lines.index(next(line for line in lines if line.startswith("γ to add")))


def test_without_test_samples_of_u_the_price_on_s_is_told() -> None:
    r = made("no test sample of U")
    plain, alg = (
        r.metrics[(r.metrics["classifier"] == "fine_tuned") & (r.metrics["calibrator"] == name)]
        .set_index("metric")["value"]["acc_s_y"] for name in ("none", "alg")
    )  # fmt: skip
    change = f"{100 * (alg - plain):+.1f} points".replace("-", "−")
    assert f"ALG γ = {r.gammas['alg']:.2f} (fine-tuning classes {change} [" in r.advice
    assert f"is {100 * plain:.1f} %" in r.advice
    assert r.gamma is None
