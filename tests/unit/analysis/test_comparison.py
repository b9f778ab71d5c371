"""Two runs beside each other: paired differences by hand, what is refused, and the page in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from browser import chromium, opened
from page_cases import CLASSES, GAMMAS, IN_S, logits, metrics_of
from playwright.sync_api import Browser

from finecal import paths, schemas
from finecal.analysis import comparison
from finecal.analysis.comparison import compare, default_page
from finecal.calibration.inputs import Predictions
from finecal.cli import main
from finecal.errors import UserError
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance
from finecal.metrics.per_class import per_class_curve
from finecal.paths import RunKey
from finecal.report import compare_page as page_of_comparison
from finecal.stages.compare_runs import compare_runs
from finecal.stages.evaluate import curve_table, sample_table

HOSTILE = '"><script>window.broken=1</script>'


def key(seed: int = 0, **other: Any) -> RunKey:
    names = {"dataset": "trees", "task": "a-b", "backbone": "net", "recipe": "full", "split": "half0"}
    return RunKey(**{**names, "seed": seed, **other})


def write_run(
    run: RunKey, *, in_s: np.ndarray = IN_S, names: tuple[str, ...] = CLASSES, n: int = 240, of_u: bool = True
) -> RunKey:
    """The files of a finished run, through the functions that the pipeline uses; its seed decides the logits."""
    labels, before, tuned = logits(run.seed, n)
    if not of_u:  # no test sample of an absent class
        before, tuned, labels = (values[in_s[labels]] for values in (before, tuned, labels))
        n = len(labels)
    record = provenance({"options": {"training": {"lr": 0.1 * (run.seed + 1), "epochs": 3}}})
    number, subset = np.arange(n, dtype=np.int32), np.full(n, "test")
    predictions = [Predictions(number, labels.astype(np.int32), subset, values, None) for values in (tuned, before)]
    fitted = [
        {"calibrator": name, "reads": reads, "parameter": "gamma", "value": gamma, "values": None}
        for name, (gamma, reads) in {**GAMMAS, "cosine": (0.7, "weights")}.items()
    ]
    tables = {
        paths.SAMPLES: sample_table(predictions[0], predictions[1], in_s),
        paths.METRICS: pa.Table.from_pandas(
            metrics_of(labels, before, tuned, in_s), schemas.own_columns(schemas.METRICS), preserve_index=False
        ),
        paths.CURVE: curve_table("fine_tuned", per_class_curve(tuned, labels, in_s)),
        paths.CALIBRATION: pa.Table.from_pylist(fitted, schemas.own_columns(schemas.CALIBRATION)),
        paths.HISTORY: pa.table({"epoch": [0]}),
    }
    for name, table in tables.items():
        write_table(run.folder / name, with_columns(table, run.columns()), provenance=record)
    groups = ["fine_tuning" if seen else "absent" for seen in in_s]
    split = pa.table({"class": pa.array(range(len(in_s)), pa.int32()), "name": list(names), "group": groups})
    place = {"dataset": run.dataset, "split": run.split}
    write_table(run.path(paths.SPLIT), with_columns(split, place), provenance=record)
    return run


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_differences_are_those_of_the_samples() -> None:
    a, b = write_run(key(0)), write_run(key(1))
    found = compare(a, b)
    assert found.same_split
    by_hand = []
    for run in (a, b):
        labels, _, tuned = logits(run.seed)
        by_hand.append({name: (tuned + gamma * ~IN_S).argmax(1) == labels for name, (gamma, _) in GAMMAS.items()})
    groups = {"acc_y_y": np.ones(240, bool), "acc_s_y": IN_S[labels], "acc_u_y": ~IN_S[labels]}
    for name in GAMMAS:
        for metric, chosen in groups.items():
            one = next(d for d in found.differences if (d.calibrator, d.metric) == (name, metric))
            right_a, right_b = (right[name][chosen] for right in by_hand)
            assert (one.a, one.b) == pytest.approx((right_a.mean(), right_b.mean()))
            assert one.difference.mean == pytest.approx(right_b.mean() - right_a.mean())
            assert one.difference.low < one.difference.mean < one.difference.high
            assert one.difference.n == chosen.sum()
    assert found.options == {"seed": (0, 1), "training.lr": (0.1, 0.2)}
    assert set(found.classes["name"]) == set(CLASSES)
    assert (found.classes["n"] == 40).all()
    assert list(found.classes["change"].abs()) == sorted(found.classes["change"].abs(), reverse=True)


def test_a_method_that_is_more_than_a_gamma_has_an_interval_too() -> None:
    found = compare(write_run(key(0)), write_run(key(1)))
    cosine = [d for d in found.differences if d.calibrator == "cosine"]
    assert [d.metric for d in cosine] == list(comparison.METRICS)
    assert all(d.difference.low < d.difference.mean < d.difference.high for d in cosine)


def test_too_few_samples_have_no_interval() -> None:
    found = compare(write_run(key(0), n=30), write_run(key(1), n=30))
    known = {d.metric: d.difference.known for d in found.differences}
    assert known == {"acc_y_y": True, "acc_s_y": False, "acc_u_y": False}  # 30, 15, 15


def test_without_test_samples_of_u_the_sentence_is_about_s() -> None:
    """Single samples are known, but acc_y_y is not: it would be the accuracy of S under another name."""
    found = compare(write_run(key(0), of_u=False), write_run(key(1), of_u=False))
    for one in found.differences:
        known = one.metric == "acc_s_y"
        assert np.isnan(one.a) != known
        assert np.isnan(one.difference.mean) != known
        if one.calibrator != "cosine":
            assert np.isnan(one.difference.low) != known
    sentences = page_of_comparison._sentences(found)
    assert len(sentences) == 1  # nothing says which method is best
    assert "on fine-tuning classes" in sentences[0]
    assert "(n = 120 test samples; fine-tuning classes " in sentences[0]
    assert "all classes" not in sentences[0]
    assert "–" not in sentences[0]


def test_another_s_leaves_intervals_of_all_classes_only() -> None:
    found = compare(write_run(key(0)), write_run(key(0, split="half1"), in_s=~IN_S))
    assert not found.same_split
    assert {d.metric for d in found.differences if not np.isnan(d.difference.low)} == {"acc_y_y"}
    assert set(found.classes["group_a"]) == {"S", "U"}
    assert (found.classes["group_a"] != found.classes["group_b"]).all()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({}, "cannot be compared with itself"),
        ({"dataset": "birds", "seed": 1}, "trees, b and birds, b"),
        ({"task": "a-c", "seed": 1}, "the same data set and target domain"),
        ({"seed": 2}, "samples.parquet: this file is missing"),
    ],
)
def test_what_cannot_be_compared(other: dict[str, Any], message: str) -> None:
    write_run(key(0))
    with pytest.raises(UserError, match=message):
        compare_runs(key(0), key(**other))
    assert not list(Path().rglob("*.html"))


def test_runs_of_different_samples_are_refused() -> None:
    with pytest.raises(UserError, match="different samples"):
        compare(write_run(key(0)), write_run(key(1), n=120))


def test_compare_on_the_command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: asked.append(address) or True)
    a, b = write_run(key(0)), write_run(key(1))
    main(["compare", str(a.folder), str(b.folder)])
    assert capsys.readouterr().out == "results/compare_seed0_seed1.html\n"
    assert asked == []
    main(["compare", str(a.folder), str(b.folder), "--out", "here.html", "--open"])
    assert capsys.readouterr().out == "here.html\n"
    assert asked == [Path("here.html").resolve().as_uri()]
    assert all("Two runs beside each other" in Path(page).read_text("utf-8") for page in Path().rglob("*.html"))
    with pytest.raises(SystemExit):
        main(["compare", str(a.folder), str(key(2).folder)])
    assert "samples.parquet: this file is missing" in " ".join(capsys.readouterr().err.split())


def test_place_of_the_page() -> None:
    assert default_page(key(0), key(1)) == Path("results/compare_seed0_seed1.html")
    assert default_page(key(0), key(1, recipe="lora")) == Path("results/compare_full-seed0_lora-seed1.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.slow
def test_page_in_a_browser(browser: Browser) -> None:
    names = (HOSTILE, "b" * 60, *CLASSES[2:])
    a, b = write_run(key(0), names=names), write_run(key(1), names=names)
    place = compare_runs(a, b)
    found = compare(a, b)
    with opened(browser, place) as page:
        assert page.locator("#table-methods tbody tr").count() == 4  # as fine-tuned, ALG, PCV, cosine
        assert "B is " in page.inner_text("#answer") or "told from chance" in page.inner_text("#answer")
        assert page.evaluate("window.broken") is None
        assert HOSTILE in page.inner_text("#table-classes")
        cells = page.locator("#table-classes tbody tr").first.locator("td").all_inner_texts()
        assert cells[0] == found.classes["name"][0]
        button, first = page.locator("#table-classes thead button"), page.locator("#table-classes tbody td:first-child")
        button.first.click()
        once = first.all_inner_texts()
        button.first.click()
        assert first.all_inner_texts() == once[::-1]
        assert set(once) == set(names)
        linked = page.locator("header a").first.get_attribute("href")
        assert linked is not None
        assert (place.parent / linked / paths.METRICS).is_file()
        for section, name in (("curves", paths.CURVE), ("methods", paths.METRICS), ("classes", paths.SAMPLES)):
            links = page.locator(f"#{section} .source a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
            assert [(place.parent / link).resolve() for link in links] == [(r.folder / name).resolve() for r in (a, b)]
            said = page.locator(f"#{section} .source code").all_inner_texts()
            assert said == [f"snakemake {run.folder}/{name}" for run in (a, b)]
    with opened(browser, place, 390, 844) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
