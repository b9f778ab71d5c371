"""Runs with made-up logits as the report page sees them, for the tests of its parts and of the whole."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from result_tables import NAMES, made_tables

from finecal import schemas
from finecal.calibration.inputs import Predictions
from finecal.metrics.scores import rows, score
from finecal.report.explorer import Explored
from finecal.report.run_view import RunView, run_view
from finecal.report.slider_stops import TestSamples
from finecal.report.study_page import render
from finecal.stages.evaluate import sample_table

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="504pt" height="100pt"><rect width="9" height="9"/></svg>'
IN_S = np.array([True, False, True, False, True, False])
CLASSES = ("ash", "birch", "cedar", "dogwood", "elm", "fir")
MADE_FROM = {"inputs": {f"results/{'/'.join(['a_rather_long_name'] * 6)}/samples.parquet": "0123456789abcdef" * 4}}
GAMMAS = {"alg": (1.25, "train_fine_tuning"), "pcv": (2.5, "pseudo_splits, train_fine_tuning")}


def logits(seed: int = 0, n: int = 240) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and the (n, C) logits of a pretrained and of a fine-tuned model, whose S has outgrown U."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % len(IN_S)
    signal = 2.5 * np.eye(len(IN_S))[labels]
    before, tuned = (signal + random.normal(size=signal.shape) for _ in range(2))
    return labels, before.astype(np.float32), (tuned + 2.2 * IN_S).astype(np.float32)


def as_samples(labels: np.ndarray, before: np.ndarray | None, tuned: np.ndarray, in_s: np.ndarray) -> TestSamples:
    """By the way that the pipeline takes: through samples.parquet's columns."""
    number = np.arange(len(labels), dtype=np.int32)
    subset = np.full(len(labels), "test")
    found = [
        None if values is None else Predictions(number, labels.astype(np.int32), subset, values, None)
        for values in (before, tuned)
    ]
    assert found[1] is not None
    table = sample_table(found[1], found[0], in_s)
    assert table.schema.equals(schemas.own_columns(schemas.SAMPLES))
    columns: dict[str, Any] = {name: table[name].to_numpy() for name in table.column_names if name != "before"}
    known = None if before is None else table["before"].to_numpy()
    return TestSamples(before=known, fine_tuning=in_s, **columns)


def metrics_of(labels: np.ndarray, before: np.ndarray, tuned: np.ndarray, in_s: np.ndarray) -> pd.DataFrame:
    """The metrics of both models, of two methods with a γ, and of one (`cosine`) that is more than a γ."""
    found = rows("pretrained", "none", "", score(before, labels, in_s)[0])
    found += rows("fine_tuned", "none", "", score(tuned, labels, in_s)[0])
    for name, (gamma, reads) in GAMMAS.items():
        found += rows("fine_tuned", name, reads, score(tuned + gamma * ~in_s, labels, in_s)[0])
    found += rows("fine_tuned", "cosine", "weights", score(0.5 * tuned + before, labels, in_s)[0])
    return pd.DataFrame(found)


def calibration() -> pd.DataFrame:
    """The γ of the methods; that of `cosine` is not all that it does."""
    gammas = {**{name: gamma for name, (gamma, _) in GAMMAS.items()}, "cosine": 0.7}
    return pd.DataFrame({"calibrator": list(gammas), "parameter": "gamma", "value": list(gammas.values())})


def view(seed: int = 0, *, room: int = 300, names: tuple[str, ...] = CLASSES, **where: str | int) -> RunView:
    """A run of `result_tables` with made-up logits."""
    labels, before, tuned = logits(seed)
    coordinates: dict[str, str | int] = {**NAMES, "split": "a", "seed": 0, **where}
    return run_view(
        coordinates, "/".join(map(str, coordinates.values())), names, as_samples(labels, before, tuned, IN_S),
        metrics_of(labels, before, tuned, IN_S), calibration(), room=room,
    )  # fmt: skip


def tables(**names: str) -> dict[str, pd.DataFrame]:
    """The aggregated tables of the page."""
    return made_tables(**names)


def picture(shade: int) -> str:
    with io.BytesIO() as buffer:
        Image.new("L", (8, 8), shade).save(buffer, "WEBP")
        return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def write_page(folder: Path, **names: Any) -> Path:
    """A page with two runs that have different logits."""
    classes = names.pop("classes", CLASSES)
    views = [view(seed, names=classes, split=split, **names) for seed, split in enumerate("ab")]
    made = made_tables(**names)
    pictures = {sample: picture(sample) for sample in range(240)}
    html = render(
        made, {"gain": SVG}, made=("leaderboard", "main", "macro"), studies="digits: {}\n", provenance=MADE_FROM,
        explored=Explored(views, 2, lambda one: ((one.where[0],), pictures)),
    )  # fmt: skip
    file = folder / "report.html"
    file.write_text(html, "utf-8")
    return file
