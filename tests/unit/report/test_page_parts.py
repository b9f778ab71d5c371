"""What the page embeds of a run: marks, histogram, classes, pictures; and that it stays small."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from page_cases import CLASSES, GAMMAS, IN_S, as_samples, calibration, logits, metrics_of, view
from PIL import Image

from finecal.data.packed import PackedImages, write_images
from finecal.metrics.classification import group_maxima, seen_unseen_curve
from finecal.paths import RunKey
from finecal.report import charts, explorer, thumbnails
from finecal.report.explorer import Explored
from finecal.report.run_view import BINS, histogram, payload, run_view, sample_counts
from finecal.stages import report


def test_methods_with_one_gamma_are_marks_the_others_are_not() -> None:
    labels, _, tuned = logits()
    one = view()
    curve = seen_unseen_curve(tuned, labels, IN_S)
    found = {mark["name"]: one.stops.gamma[mark["stop"]] for mark in one.marks}
    best = curve.gamma[curve.best()]
    assert found == {"none": 0, **{name: gamma for name, (gamma, _) in GAMMAS.items()}, "oracle": best}
    assert [mark["stop"] for mark in one.marks] == sorted(mark["stop"] for mark in one.marks)
    assert {mark["name"]: mark["bound"] for mark in one.marks}["oracle"]
    assert [(other["label"], other["kind"]) for other in one.others] == [
        ("pretrained", "pretrained"), ("cosine", "calibrated"),
    ]  # fmt: skip


def test_payload_is_json_and_short() -> None:
    text = json.dumps(payload(view()), allow_nan=False)
    assert json.loads(text)["gamma"][0] is None
    assert len(text) < 12_000


def test_without_samples_of_u_there_is_no_accuracy_of_u() -> None:
    labels, before, tuned = logits()
    only = IN_S[labels]
    samples = as_samples(labels[only], before[only], tuned[only], IN_S)
    metrics = metrics_of(labels[only], before[only], tuned[only], IN_S)
    where: dict[str, str | int] = dict.fromkeys(("dataset", "task", "backbone", "recipe", "split", "seed"), "x")
    one = run_view(where, "r", CLASSES, samples, metrics, calibration(), room=20)
    assert payload(one)["n"] == [only.sum(), 0]
    assert one.others[0]["u"] is None
    assert {"none", "alg", "pcv"} <= {mark["name"] for mark in one.marks}
    json.dumps(explorer.explorer(Explored([one])), allow_nan=False)


def test_histogram_holds_every_sample_and_every_mark() -> None:
    one = view()
    bins = histogram(one)
    assert (sum(bins["s"]), sum(bins["u"])) == (one.stops.n_s, one.stops.n_u)
    assert len(bins["s"]) == BINS
    high = bins["low"] + BINS * bins["step"]
    marked = one.stops.gamma[[mark["stop"] for mark in one.marks]]
    assert ((marked > bins["low"]) & (marked < high)).all()
    # The middle of the histogram is not clipped: its counts are NumPy's.
    margin = one.samples.margin[one.samples.of_s]
    edges = bins["low"] + bins["step"] * np.arange(BINS + 1)
    assert bins["s"][1:-1] == np.histogram(margin, edges)[0][1:-1].tolist()


def test_cells_give_the_confusion_matrix_at_every_stop() -> None:
    labels, before, tuned = logits()
    one = view(room=12)
    table = pd.DataFrame(sample_counts(one))
    assert table["n"].sum() == len(labels)
    for stop, gamma in enumerate(one.stops.gamma):
        predicted = np.where(stop < table["stop"], table["s"], table["u"])
        matrix = np.zeros((6, 6), int)
        np.add.at(matrix, (table["label"], predicted), table["n"])
        expected = np.zeros((6, 6), int)
        np.add.at(expected, (labels, group_maxima(tuned, IN_S).predictions(gamma)), 1)
        np.testing.assert_array_equal(matrix, expected)
    right = (table["before"] == table["label"]) * table["n"]
    assert right.sum() == (before.argmax(axis=1) == labels).sum()


def test_pictures_are_spread_over_the_margins_of_each_class() -> None:
    samples = view().samples
    rows = thumbnails.choose_rows(samples)
    order = samples.label[rows]
    assert order.tolist() == [c for c in (1, 3, 5, 0, 2, 4) for _ in range(thumbnails.PER_CLASS)]  # U first
    for label in range(6):
        shown = samples.margin[rows[order == label]]
        everything = np.sort(samples.margin[samples.label == label])
        assert (np.diff(shown) >= 0).all()
        places = np.searchsorted(everything, shown) / len(everything)
        np.testing.assert_allclose(places, (np.arange(6) + 0.5) / 6, atol=1 / len(everything))


@pytest.mark.parametrize("channels", [1, 3])
def test_thumbnails_are_those_of_the_samples(tmp_path: Path, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finecal.data.packed.ROW_GROUP_BYTES", 3 * 100 * 60 * channels)  # a few samples in a row group
    pixels = np.zeros((10, 100, 60, channels), np.uint8)
    pixels += (25 * np.arange(10, dtype=np.uint8))[:, None, None, None]
    images = PackedImages(pixels, np.zeros(10, np.int32), np.arange(10) > 4, ("a",))
    write_images(tmp_path / "i.parquet", images, columns={"dataset": "d", "domain": "x"}, provenance={})
    found = thumbnails.read_thumbnails(tmp_path / "i.parquet", [9, 2, 4])
    assert sorted(found) == [2, 4, 9]
    for number, uri in found.items():
        kind, _, text = uri.partition(",")
        picture = Image.open(io.BytesIO(base64.b64decode(text)))
        assert kind == "data:image/webp;base64"
        assert picture.size == (34, 56)
        assert abs(int(np.asarray(picture).mean()) - 25 * number) <= 2


def test_results_without_images_have_no_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = RunKey("digits", "a-b", "model", "full", "half0", 0)
    one = view(dataset="digits", task="a-b", backbone="model", recipe="full", split="half0")
    plan = SimpleNamespace(images_of_run=lambda run: Path("results/digits/images/b/model.parquet"))
    assert report._thumbnails(plan, [run], [one])(one) == (("digits", "b"), {})
    pixels = np.zeros((240, 4, 4, 1), np.uint8)
    images = PackedImages(pixels, (np.arange(240) % 6).astype(np.int32), np.arange(240) > 120, CLASSES)
    write_images("results/digits/images/b.parquet", images, columns={"dataset": "digits", "domain": "b"}, provenance={})
    assert len(report._thumbnails(plan, [run], [one])(one)[1]) == 36


def test_the_budget_leaves_out_classes_and_pictures_never_a_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    views = [view(seed) for seed in range(3)]
    monkeypatch.setattr(explorer, "ROWS", sum(len(sample_counts(one)["n"]) for one in views[:2]))
    monkeypatch.setattr(explorer, "PICTURES", 36 * 100)
    pictures = dict.fromkeys(range(240), "x" * 100)
    made = explorer.explorer(Explored(views, thumbnails=lambda one: (("d", one.folder + str(id(one))), pictures)))
    assert ["cells" in run for run in made["runs"]] == [True, True, False]
    assert [bool(run.get("examples")) for run in made["runs"]] == [True, False, False]
    assert len(made["pictures"]) == 36
    assert all(len(run["gamma"]) > 100 for run in made["runs"])


def test_the_same_picture_is_in_the_page_once() -> None:
    made = explorer.explorer(Explored([view(), view()], thumbnails=lambda _: (("d",), dict.fromkeys(range(240), "x"))))
    assert len(made["pictures"]) == 36
    assert len(made["classes"]) == 1


def test_a_page_of_very_many_runs_stays_small() -> None:
    room = explorer.room_for_stops(5000)
    size = len(explorer.as_json(payload(view(room=room)))) * explorer.RUNS
    assert size < 2_500_000


def test_json_cannot_end_its_script() -> None:
    evil = ["</script><script>", "<!--", "&amp;", "\u2028"]
    text = explorer.as_json(evil)
    assert json.loads(text) == evil
    assert not set("<>&\u2028") & set(text)


def test_equal_names_of_classes_are_told_apart() -> None:
    made = explorer.explorer(Explored([view(names=("a", "b", "a", "c", "d", "e"))]))
    assert made["names"][0] == ["a (0)", "b", "a (2)", "c", "d", "e"]


def test_charts_load_nothing() -> None:
    text = json.dumps(charts.specifications())
    assert "://" not in text
    assert '"url"' not in text
