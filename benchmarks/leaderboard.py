"""How long do fitting and scoring many calibrators take, measured against reading their logits once?

    uv run python benchmarks/leaderboard.py [--size 10000x1000] [--repeats 5] [--quick]

One file has the logits of training, validation and test samples. All calibrators are fitted and scored that need no
further trainings (no pseudo-splits), as `finecal calibrate` and `finecal evaluate` do it, from these logits, features,
the pretrained model's logits and the head; × is against one read of the file and one `logits.max(axis=1)` of it.
Whatever is compared takes turns in every repeat. CPU time, one thread, medians. Nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import _measure
import numpy as np
import pyarrow as pa

from finecal import registry, schemas
from finecal.calibration.contract import Head
from finecal.calibration.inputs import Predictions, Seen, read_predictions
from finecal.calibration.parameters import read_states
from finecal.io.declared import from_rows
from finecal.io.list_columns import list_array
from finecal.io.parquet import write_table
from finecal.stages.calibrate import fit_all
from finecal.stages.evaluate import score_calibrated

ALPHA = 0.5  # of the interpolated model
DIMENSIONS = 64


def problem(samples: int, classes: int) -> tuple[Seen, np.ndarray]:
    """Draw a model whose logits follow from its features, fine-tuned on every second class, and the mask of S."""
    rng = np.random.default_rng(0)
    mask = np.zeros(classes, bool)
    mask[rng.permutation(classes)[: classes // 2]] = True
    labels = rng.integers(0, classes, samples).astype(np.int32)
    head = rng.standard_normal((classes, DIMENSIONS)) / np.sqrt(DIMENSIONS) * 2
    noise = rng.standard_normal((2, samples, DIMENSIONS))
    features = [(head[labels] * size + part).astype(np.float32) for size, part in zip((1.5, 1.0), noise, strict=True)]
    tuned, before = ((x @ head.T).astype(np.float32) for x in features)
    tuned[:, mask] += 1
    subset = rng.choice(["train", "validation", "test"], samples, p=[0.2, 0.2, 0.6]).astype(object)
    numbers = np.arange(samples, dtype=np.int32)
    ours, theirs = (
        Predictions(numbers, labels, subset, logits, x) for logits, x in ((tuned, features[0]), (before, features[1]))
    )
    between = {ALPHA: (before / 2 + tuned / 2).astype(np.float32)}
    return Seen(ours, theirs, between, Head(head, np.where(mask, 1.0, 0.0))), mask


def write(predictions: Predictions, path: Path) -> None:
    """Write a model's predictions as a run has them, without the columns that name the run."""
    columns = ("sample", "label", "subset", "logits", "features")
    assert predictions.features is not None
    arrays = [
        pa.array(predictions.samples), pa.array(predictions.labels), pa.array(predictions.subset, pa.string()),
        list_array(predictions.logits), list_array(predictions.features),
    ]  # fmt: skip
    table = pa.table(dict(zip(columns, arrays, strict=True)))
    write_table(path, table, pa.schema([schemas.LOGITS.field(name) for name in columns]), provenance={})


def candidates() -> dict[str, Any]:
    """Return the built-in calibrators that read no pseudo-splits, as a plan has them: name → {calibrator, options}."""
    records = {name: registry.calibrator_record(name) for name in registry.built_in_names("calibrator")}
    return {
        name: {"calibrator": name, "options": record.options().model_dump()}
        for name, record in records.items()
        if "pseudo_splits" not in record.reads
    }


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU time of a call, and what it returns."""
    start = time.process_time()
    found = call()
    return time.process_time() - start, found


def measured(file: Path, seen: Seen, mask: np.ndarray, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each part in each repeat; the parts of a calibrator by its name."""
    uses = candidates()
    data = seen.available(mask, None)
    test = data["test"]
    times: dict[str, list[float]] = {}

    def note(name: str, call: Callable[[], Any]) -> Any:
        taken, found = seconds(call)
        times.setdefault(name, []).append(taken)
        return found

    exponents = test.logits.astype(np.float64)
    exponents -= exponents.max(axis=1, keepdims=True)
    powers = np.empty_like(exponents)
    read_predictions(file, num_classes=len(mask))  # imports what reading needs
    for _ in range(repeats):
        read = note("read", partial(read_predictions, file, num_classes=len(mask)))
        note("max", partial(read.logits.max, axis=1))
        note("exp", partial(np.exp, exponents, out=powers))
        rows = note("fit all", partial(fit_all, uses, data, mask))
        states = read_states(from_rows(rows, schemas.own_columns(schemas.CALIBRATION)))
        note("score all", partial(score_calibrated, uses, states, test, mask))
        for name, use in uses.items():
            note(f"fit {name}", partial(fit_all, {name: use}, data, mask))
            note(f"score {name}", partial(score_calibrated, {name: use}, states, test, mask))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of fitting and scoring many calibrators.")
    parser.add_argument("--size", default="10000x1000", metavar="NxC")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a small size, to see that it runs")
    args = parser.parse_args()
    size, repeats = ("300x20", 2) if args.quick else (args.size, args.repeats)
    samples, classes = map(int, size.split("x"))
    pa.set_cpu_count(1)  # threads that wait for each other on a busy machine would take more CPU time
    seen, mask = problem(samples, classes)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "logits.parquet")
        write(seen.tuned, file)
        times = measured(file, seen, mask, repeats)

    taken = {name: median(part) for name, part in times.items()}
    unit = taken["read"] + taken["max"]
    whole = taken["read"] + taken["fit all"] + taken["score all"]
    rows = [
        ("one read of the file and one `logits.max(axis=1)`", unit),
        (f"read, fit and score all {len(candidates())}", whole),
        ("`np.exp` of the test logits in float64, once", taken["exp"]),
        ("its fitting", taken["fit all"]),
        ("its scoring", taken["score all"]),
    ]
    for name in candidates():
        rows += [(f"{part} `{name}` alone", taken[f"{part} {name}"]) for part in ("fit", "score")]
    print(f"{samples:,} × {classes:,}, NumPy {np.__version__}; median of {repeats} interleaved repeats.\n")
    print(_measure.table(["part", "CPU time (ms)", "×"], [[n, f"{1e3 * t:,.1f}", f"{t / unit:.2f}"] for n, t in rows]))


if __name__ == "__main__":
    main()
