"""The model card of an exported classifier: its classes, accuracy, use, checks and origin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finecal import display
from finecal.analysis.telling import Told, as_markdown
from finecal.models.build import Architecture

NAMES = 40  # class names shown


@dataclass(frozen=True)
class Origin:
    """Where a classifier comes from, and how good it is.

    Attributes
    ----------
    where
        Its coordinates, columns of check.parquet.
    heading, tuned, tests
        What the card is called, how the model was fine-tuned, and whose test samples the accuracies are of, in words.
    source
        The sentence on its origin.
    metrics
        Rows of a metrics.parquet.
    images
        On which images the folder was checked, in words.
    record
        The provenance of check.parquet.
    terms
        Licence and citation of the data, as far as they are known.
    told
        What is said of it: what was damaged, and what to do.
    of
        What that is said of.
    """

    where: Mapping[str, str | int]
    heading: str
    tuned: str
    tests: str
    source: str
    metrics: Sequence[Mapping[str, Any]]
    record: Mapping[str, Any]
    told: Told
    images: str = "test images"
    terms: Mapping[str, str] = field(default_factory=dict)
    of: str = "Of this run alone, whatever calibrator the folder holds."


@dataclass(frozen=True)
class Card:
    """The contents of a card; `form` is that of calibration.json, `checks` are rows of check.parquet."""

    origin: Origin
    form: Mapping[str, Any]
    description: Architecture
    folded: bool
    checks: Sequence[Mapping[str, Any]]
    onnx: bool


def accuracy_interval(accuracy: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval (Wilson 1927) of the accuracy of one fixed classifier on n test samples.

    >>> [round(end, 4) for end in accuracy_interval(0.9, 100)]
    [0.8256, 0.9448]
    """
    from scipy.stats import binomtest  # half a second, for exports with an accuracy

    interval = binomtest(round(accuracy * n), n).proportion_ci(0.95, "wilson")
    return float(interval.low), float(interval.high)


def card_text(card: Card) -> str:
    """Return the card as Markdown."""
    origin, form = card.origin, card.form
    bound = display.reads_test(", ".join(form["reads"]))
    method = display.marked(display.method("fine_tuned", form["calibrator"]), bound)
    pairs = list(zip(card.description.classes, form["fine_tuning"], strict=True))
    of_s, of_u = [name for name, member in pairs if member], [name for name, member in pairs if not member]
    warning = "" if not bound else (
        "**Its calibrator was fitted on the labels of the test samples: the accuracies below are upper bounds.**\n\n"
    )  # fmt: skip
    gamma = form["gamma"]
    found = f" γ = {float(gamma):.4f} is added to the logits of the absent classes." if gamma is not None else ""
    return f"""---
library_name: timm
tags: [image-classification, timm, finecal]
---

# {origin.heading}: {method}

{card.description.model}, fine-tuned{origin.tuned} on {_names(of_s)}.
It also knows {_names(of_u)}, absent from fine-tuning.{found}
The calibrator {display.calibrator(form["calibrator"])} read {display.reads(", ".join(form["reads"]), long=True)}.

{warning}## What fine-tuning damaged, and what helps

{origin.of}
S are the classes of fine-tuning, U the absent ones; γ is added to the logits of U.
γ* is the best γ for the test labels, an upper bound.

{as_markdown(origin.told)}

## Accuracy

On the test samples of {origin.tests}, in % [95 % interval for this one model, Wilson], n samples:

{_accuracies(card)}

## Use

{_use(card)}

{_input(card)}

## Checked

Against finecal's own logits, on {origin.images} ([check.parquet](check.parquet)):

{_checks(card)}

## Origin

{origin.source} finecal {origin.record["version"]} ({origin.record["commit"][:12] or "no commit"}).
{_terms(card)}"""


def write_card(path: Path, card: Card) -> None:
    """Write the card to a file."""
    path.write_text(card_text(card), "utf-8")


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:NAMES])
    return f"{display.count(len(names), 'class')} ({shown}{', …' * (len(names) > NAMES)})"


def _accuracies(card: Card) -> str:
    rows = [("pretrained", "none"), ("fine_tuned", "none"), ("fine_tuned", card.form["calibrator"])]
    lines = [("classifier", *display.METRICS.values()), ("---",) * (1 + len(display.METRICS))]
    keys = ("classifier", "calibrator", "metric")
    values = {tuple(row[key] for key in keys): (row["value"], row["n"]) for row in card.origin.metrics}
    for classifier, calibrator in dict.fromkeys(rows):
        cells = [_accuracy(*values.get((classifier, calibrator, metric), (None, 0))) for metric in display.METRICS]
        bound = calibrator == card.form["calibrator"] and display.reads_test(", ".join(card.form["reads"]))
        lines.append((display.marked(display.method(classifier, calibrator), bound), *cells))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _accuracy(value: float | None, n: int | None) -> str:
    if value is None or not n or math.isnan(value):
        return display.NOTHING
    return f"{display.interval(value, *accuracy_interval(value, n))}, n = {n:,}"


def _use(card: Card) -> str:
    if card.folded:
        first = (
            "```python\nimport timm\n\nmodel = timm.create_model(\"local-dir:FOLDER\", pretrained=True).eval()\n"
            "transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))\n```\n\n"
            "The calibration is in the head: nothing else is needed."
        )  # fmt: skip
    else:
        first = (
            "```python\nimport sys\n\nsys.path.insert(0, \"FOLDER\")\nfrom calibrated import load\n\n"
            "model = load()\n```\n\n"
            "**`timm.create_model(\"local-dir:FOLDER\")` alone gives the model without its calibration**, which cannot "
            "be put into its head; `calibrated.py` reads it from `calibration.json`."
        )  # fmt: skip
    onnx = (
        "\n\n`model.onnx` is the same classifier, calibrated: `images` (N, channels, H, W) float32, prepared as below, "
        "to `logits` (N, C). Class names and preprocessing are in its metadata."
    )
    return first + onnx * card.onnx


def _input(card: Card) -> str:
    """Say all steps from an image file to the numbers."""
    made, side, stored = card.description, card.description.image_size, card.form["stored"]
    numbers = f"divided by 255, less {list(made.mean)}, over {list(made.std)}"
    alone = "`prepare.py` here does all of it with Pillow and NumPy: `load(FILE)`."
    if made.framing is not None:
        how, mode, part = (made.framing[name] for name in ("interpolation", "crop_mode", "crop_pct"))
        return (
            f"Input: the image file as RGB (orientation in its EXIF data and transparency are ignored), resized "
            f"({how}, crop_mode {mode}, crop_pct {part}) to {side} × {side}, {numbers}. timm's transform for this "
            f"model does the same; so does finecal.\n{alone}"
        )
    whole = "(bilinear with antialiasing, the aspect is not kept, no crop)"
    rounds = "the resizing may round a byte the other way than finecal's"
    if stored is None:
        return (
            f"Input: the whole image, scaled to {side} × {side} {whole}, {numbers}. timm's transform for this model "
            f"does the same; {rounds}."
        )
    first = stored["size"]
    ways = {"stretch": "both sides", "crop": "the shorter side, and the middle of the longer one is kept"}
    return (
        "Input: the image file as people see it (its EXIF orientation applied, transparent parts white), as RGB; "
        f"1. resized to {first} × {first} (bilinear, {ways[stored['fit']]}; a JPEG is decoded at 1/2, 1/4 or 1/8 "
        f"of its size if that is at least {2 * first} pixels); 2. that square scaled to {side} × {side} {whole}; 3. "
        f"{numbers}.\n{alone} In step 2 {rounds}. **timm's transform for this model does steps 2 and 3 only.**"
    )


def _checks(card: Card) -> str:
    lines = [("compared", "largest difference of a logit", "same prediction", "n"), ("---",) * 4]
    lines += [
        (row["compared"], f"{row['max_abs_difference']:.1e}", f"{row['same_prediction']:.1%}", f"{row['n']:,}")
        for row in card.checks
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _terms(card: Card) -> str:
    said = [f"{name.capitalize()} of the data set: {text}" for name, text in card.origin.terms.items() if text]
    return "".join(f"{line}\n" for line in said) or (
        "The licence of the data and of the pretrained weights is not known to finecal.\n"
    )
