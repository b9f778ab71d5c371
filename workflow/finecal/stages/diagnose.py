"""Diagnose a classifier from its logits alone, without a study or a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finecal import display, registry, schemas
from finecal.analysis.diagnosis import Answer
from finecal.analysis.diagnosis import diagnose as answers_of
from finecal.calibration.contract import Labelled
from finecal.calibration.inputs import Predictions, Seen
from finecal.calibration.parameters import read_states, refusals
from finecal.config.split_resolution import class_numbers
from finecal.errors import UserError
from finecal.io.atomic import write_text
from finecal.io.declared import from_rows
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance
from finecal.metrics.classifiers import FINE_TUNED, PRETRAINED
from finecal.report.logits_page import page
from finecal.stages._accuracy_lines import accuracy_lines
from finecal.stages._logits_file import read_logits
from finecal.stages.calibrate import fit_all
from finecal.stages.evaluate import sample_table, score_calibrated, score_classifiers

# Name of a table that is written → its schema.
OUTPUTS = {
    "metrics": schemas.METRICS,
    "curve": schemas.CURVE,
    "calibration": schemas.CALIBRATION,
    "samples": schemas.SAMPLES,
}


def diagnose(source: Path, fine_tuning: str, out: Path, *, pretrained: str | None = None) -> str:
    """Score and calibrate logits; write tables, the curve's figure and the page report.html into `out`.

    Parameters
    ----------
    source
        A Parquet file with the columns label (integer) and logits (a list of numbers), and optionally features
        (a list of numbers) and subset ("train", "validation" or "test"), or an .npz file with arrays of these names.
    fine_tuning
        Class numbers, separated by commas, or the path of a file with one class number per line.
    pretrained
        A file of the same form with the pretrained model's logits of the same samples in the same order.

    Returns
    -------
    A short summary.

    Raises
    ------
    UserError
        For anything that is wrong with the input; nothing is written then.
    """
    tuned, note = read_logits(source)
    before = read_logits(Path(pretrained))[0] if pretrained else None
    mask = _mask(fine_tuning, tuned.logits.shape[1])
    if before is not None:
        _check_same_samples(tuned, before, str(source), str(pretrained))
    if not tuned.test.any():
        raise UserError("there is no test sample", where=str(source), why="At least one row needs the subset 'test'")

    seen = Seen(tuned, before)
    data = seen.available(mask, None)
    uses, left_out = _usable(seen, data, mask)
    if mask[data["test"].labels].all():
        note.append("No test row is of an absent class: what calibration is worth is not known.")
    rows = fit_all(uses, data, mask)
    note += refusals(rows)
    fitted = from_rows(rows, schemas.own_columns(schemas.CALIBRATION))
    classifiers = {FINE_TUNED: tuned} if before is None else {PRETRAINED: before, FINE_TUNED: tuned}
    found, curves = score_classifiers(classifiers, mask)
    found += score_calibrated(uses, read_states(fitted), data["test"], mask)

    inputs: list[str | Path] = [source, *([pretrained] if pretrained else [])]
    record = provenance({"options": {"fine_tuning": np.flatnonzero(mask).tolist()}}, inputs=inputs)
    metrics = from_rows(found, schemas.own_columns(schemas.METRICS))
    tables = {"metrics": metrics, "curve": curves, "calibration": fitted, "samples": sample_table(tuned, before, mask)}
    for name, table in tables.items():
        write_table(out / f"{name}.parquet", table, schemas.own_columns(OUTPUTS[name]), provenance=record)
    run = {"dataset": source.name, "task": "own images", "backbone": "own model", "recipe": "own recipe"}
    where: dict[str, str | int] = {**run, "split": "", "seed": 0}
    _draw(tables, {**where, "dataset": "logits", "task": source.stem.replace("-", " ")}, out, record)
    frames = {name: with_columns(tables[name], where).to_pandas() for name in ("metrics", "calibration")}
    write_text(out / "report.html", page(frames, tables["samples"], mask, where, provenance=record))
    (answer,) = answers_of(frames["metrics"], frames["calibration"])
    return _summary(tables, [*note, *left_out], answer, out)


def _mask(text: str, num_classes: int) -> np.ndarray:
    """The (C,) mask of S from numbers separated by commas, or from a file with one per line."""
    where = "--fine-tuning"
    parts = [part.strip() for part in text.split(",")]
    if not all(part.lstrip("-").isdigit() for part in parts if part) and Path(text).is_file():
        parts, where = [line.strip() for line in Path(text).read_text("utf-8").split("\n")], text
    numbers: list[str | int] = []
    for part in parts:
        if part:
            if not part.lstrip("-").isdigit():
                raise UserError(
                    f"{part!r} is not a class number", where=where,
                    why="Give numbers separated by commas, or a file with one number per line",
                )  # fmt: skip
            numbers.append(int(part))
    mask = np.zeros(num_classes, dtype=bool)
    mask[class_numbers(tuple(numbers), tuple(map(str, range(num_classes))), where)] = True
    if mask.all() or not mask.any():
        size = "all" if mask.all() else "none"
        raise UserError(
            f"{size} of the {num_classes} classes are fine-tuning classes", where=where, why="S and U both need one"
        )
    return mask


def _check_same_samples(tuned: Predictions, before: Predictions, one: str, other: str) -> None:
    if tuned.logits.shape != before.logits.shape:
        raise UserError(
            f"the logits have shape {before.logits.shape}", where=other, why=f"{one} has {tuned.logits.shape}"
        )
    if not np.array_equal(tuned.labels, before.labels) or not np.array_equal(tuned.subset, before.subset):
        raise UserError(
            f"its samples are not those of {one}", where=other, why="Both need the same rows in the same order"
        )


# What is not here, in words, and how to give it where that is possible.
MISSING = {
    "train_fine_tuning": "rows with the subset 'train' of fine-tuning classes",
    "target_unlabelled": "rows with the subset 'train'",
    "validation": "rows with the subset 'validation', absent classes among them",
    "test": "rows with the subset 'test' of absent classes",
    "features": "the column features",
    "pretrained": "--pretrained",
    "weights": "the model's weights, which only a study has",
    "pseudo_splits": "further trainings, which only a study has",
    "interpolated": "the model's weights, which only a study has",
}


def _usable(seen: Seen, data: Mapping[str, Any], mask: np.ndarray) -> tuple[dict[str, Any], list[str]]:
    """The calibrators whose data is there, as the plan gives them; and a sentence on those that miss the same."""
    test: Labelled = data["test"]
    there = {*data, *test.more}
    # These say how good a γ is only if absent classes are among their rows.
    for subset in ("validation", "test"):
        if subset in there and mask[data[subset].labels].all():
            there.discard(subset)
    uses: dict[str, Any] = {}
    left_out: dict[str, list[str]] = {}
    for name in registry.built_in_names("calibrator"):
        calibrator = registry.calibrator_record(name)
        wanted = calibrator.reads | calibrator.takes
        lacking = list(dict.fromkeys(MISSING[part] for part in MISSING if part in wanted - there))
        if lacking:
            left_out.setdefault(" and ".join(lacking), []).append(name)
        else:
            uses[name] = {"calibrator": name, "options": calibrator.options().model_dump()}
    return uses, [f"Left out for want of {what}: {', '.join(names)}." for what, names in left_out.items()]


def _draw(tables: dict[str, pa.Table], run: dict[str, str | int], out: Path, record: dict[str, Any]) -> None:
    """The seen–unseen curve as seen_unseen_curve.svg and .png, and the numbers drawn."""
    from finecal.figures import draw_and_save

    frames = {name: with_columns(tables[name], run).to_pandas() for name in ("curve", "metrics")}
    draw_and_save("curve", frames, out / "seen_unseen_curve", provenance=record)


def _summary(tables: dict[str, pa.Table], notes: list[str], answer: Answer, out: Path) -> str:
    """Accuracies of all classifiers and calibrators, the γ of each, the answer, what was left out, and where it is."""
    lines = accuracy_lines(tables["metrics"].to_pandas())
    gammas = tables["calibration"].filter(pc.equal(tables["calibration"]["parameter"], "gamma")).to_pylist()
    found = [f"{display.calibrator(row['calibrator'])} {row['value']:.4f}" for row in gammas]
    lines += ["", f"γ to add to the logits of the absent classes: {', '.join(found)}.", "", answer.headline]
    lines += [answer.advice.words, *answer.advice.code.splitlines(), "", *notes, f"Files: {out}"]
    return "\n".join(lines)
